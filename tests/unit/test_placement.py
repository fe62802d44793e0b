"""What is asked of Dask for a task, given what workers declare."""

from dataclasses import replace

import pytest

from configs.errors import NotEnoughMemory
from launcher.cluster.capacity import Has, declared, workers_in
from launcher.cluster.placement import Place, place
from pipeline.executor import Need


def cpu(n=0, *, threads=1, memory=1000.0, **resources):
    resources = {"CPU": float(threads), "MEMORY": memory} | resources
    return Has(
        address=f"cpu{n}", host=f"h{n}", threads=threads, memory_mb=memory, resources=resources
    )


def card(n=0, memory=4000.0):
    return Has(
        address=f"gpu{n}",
        host=f"h{n}",
        threads=4,
        memory_mb=memory,
        resources={"GPU": 1.0, "MEMORY": memory},
    )


def stranger(n=0, *, memory=None, threads=1):
    """A worker that somebody started without any resources."""
    return Has(address=f"x{n}", host=f"h{n}", threads=threads, memory_mb=memory, resources={})


TOUCH = 1 / 1024
SMALL = Need(memory_mb=100)
FIT = Need(memory_mb=100, gpu=0.25)


def test_where_nothing_can_run_short_nothing_is_asked_for():
    assert place(SMALL, [cpu(0), cpu(1)]) == Place()


def test_a_task_for_a_card_asks_for_its_share():
    assert place(FIT, [cpu(), card()]).resources == {"GPU": 0.25, "MEMORY": 100.0}


def test_without_a_card_it_runs_anywhere_and_says_so():
    assert place(FIT, [cpu()]) == Place(missing=("GPU",))


def test_other_tasks_keep_off_cards_while_there_are_cores():
    assert place(SMALL, [cpu(), card()]).resources == {"CPU": TOUCH}
    assert place(SMALL, [card()]).resources == {"MEMORY": 100.0}


def test_of_workers_that_declare_no_cores_those_without_a_card_are_preferred():
    assert place(SMALL, [stranger(), card()]).workers == ("x0",)


def test_a_large_task_is_not_refused_for_want_of_workers_that_declare():
    workers = [cpu(memory=1000.0), card(memory=1000.0), stranger(memory=6000.0)]

    assert place(Need(memory_mb=3000), workers) == Place(workers=("x0",))
    assert place(Need(memory_mb=3000, gpu=0.25), workers).workers == ("x0",)
    assert place(SMALL, workers).resources == {"CPU": TOUCH}


def test_a_small_task_counts_too_where_a_worker_runs_several():
    four = cpu(threads=4, memory=4000.0)

    for need in (100, 900, 3900, 4000):
        assert place(Need(memory_mb=need), [four, cpu(1)]).resources == {"MEMORY": float(need)}


def test_memory_is_asked_for_where_it_could_run_short():
    assert place(Need(memory_mb=3000), [cpu(), cpu(1, memory=5000.0)]).resources == {
        "MEMORY": 3000.0
    }


def test_of_workers_that_declare_no_memory_those_with_enough_are_preferred():
    there = [stranger(0, memory=1000.0), stranger(1, memory=5000.0), stranger(2)]

    assert place(Need(memory_mb=3000), there).workers == ("x1", "x2")
    assert place(SMALL, [stranger(0, memory=1000.0, threads=2), stranger(1)]) == Place()


def test_a_task_that_no_worker_can_take_is_refused_with_what_it_needs_and_what_there_is():
    with pytest.raises(NotEnoughMemory, match=r"about 3,000 MB, and no worker has more than 1,000"):
        place(Need(memory_mb=3000), [cpu(), cpu(1, memory=800.0)])


def test_a_task_that_only_a_worker_with_a_card_has_the_memory_for_goes_there():
    assert place(Need(memory_mb=3000), [cpu(), card()]).resources == {"MEMORY": 3000.0}


LARGE_FIT = Need(memory_mb=5000, gpu=0.25)


def test_a_fit_that_no_worker_with_a_card_has_the_memory_for_goes_to_one_without():
    found = place(LARGE_FIT, [cpu(), cpu(1, memory=6000.0), card()])

    assert found == Place({"CPU": TOUCH, "MEMORY": 5000.0}, off_card=True)
    assert place(LARGE_FIT, [stranger(0, memory=9000.0), card()]).workers == ("x0",)


def test_one_card_whose_worker_has_the_memory_is_enough():
    found = place(LARGE_FIT, [cpu(memory=9000.0), card(0), card(1, memory=6000.0)])

    assert found == Place({"GPU": 0.25, "MEMORY": 5000.0})


def test_a_fit_for_a_card_is_refused_if_nobody_has_the_memory():
    with pytest.raises(NotEnoughMemory, match=r"about 5,000 MB, and no worker has more than 4,500"):
        place(LARGE_FIT, [cpu(memory=4500.0), card()])


def test_a_tag_is_had_or_done_without():
    tagged = Need(tag="large")

    assert set(place(tagged, [cpu(), cpu(1, large=1.0)]).resources) == {"large"}
    assert place(tagged, [cpu()]) == Place(missing=("large",))
    assert place(replace(FIT, tag="large"), [cpu(large=1.0), card()]) == Place(
        {"large": TOUCH}, missing=("GPU",)
    )


def test_a_host_is_avoided_while_another_one_could_do_it():
    def hosts(need, *workers, avoid="h0"):
        return place(replace(need, avoid=frozenset({avoid})), workers).hosts

    assert place(SMALL, [cpu(0), cpu(1)]).hosts == ()
    assert hosts(SMALL, cpu(0), cpu(1), cpu(2)) == ("h1", "h2")
    assert hosts(SMALL, cpu(0)) == ()
    large = Need(memory_mb=3000)
    assert hosts(large, cpu(0, memory=5000.0), cpu(1)) == ()
    assert hosts(large, cpu(0, memory=5000.0), cpu(1, memory=5000.0), cpu(2)) == ("h1",)
    assert hosts(Need(tag="large"), cpu(0, large=1.0), cpu(1)) == ()
    assert hosts(SMALL, stranger(0), stranger(1), card(2)) == ("h1",)


def test_to_avoid_the_only_host_with_a_card_a_task_does_without_one():
    away = replace(FIT, avoid=frozenset({"h0"}))

    assert place(away, [card(0), card(1), cpu(2)]).hosts == ("h1",)
    without = place(away, [card(0), cpu(0), cpu(2)])
    assert (without.hosts, without.resources, without.missing) == (("h2",), {}, ())
    assert without.off_card  # its scores will differ in the last digits: to be told
    assert not place(away, [cpu(0), cpu(1)]).off_card
    assert place(away, [card(0), cpu(0)]).resources == {"GPU": 0.25, "MEMORY": 100.0}


def test_to_avoid_the_only_host_without_cards_a_task_goes_to_one_with_cards():
    away = replace(SMALL, avoid=frozenset({"h0"}))

    assert place(away, [cpu(0), card(1)]).hosts == ("h1",)
    assert place(away, [cpu(0), card(1)]).resources == {"MEMORY": 100.0}
    assert place(away, [stranger(0), card(1), cpu(2)]).hosts == ("h2",)
    assert place(replace(away, memory_mb=5000), [cpu(0, memory=6000.0), card(1)]).hosts == ()


def test_without_workers_nothing_is_known_and_nothing_refused():
    assert place(Need(memory_mb=10**6), []) == Place()


def test_a_worker_that_declares_nothing_has_its_limit_less_what_it_takes_itself():
    info = {"host": "h", "nthreads": 1, "memory_limit": 2 * 2**30, "resources": {}}

    [worker] = workers_in({"workers": {"a": info}})
    [free] = workers_in({"workers": {"a": info | {"memory_limit": None}}})

    assert worker.memory_mb == 1648
    assert free.memory_mb is None
    [ours] = workers_in({"workers": {"a": info | {"resources": {"MEMORY": 500.0}}}})
    assert ours.memory_mb == 500


def test_a_place_is_offered_by_a_worker_that_has_as_much_as_is_asked_for():
    asked = Place({"MEMORY": 1000.0, "CPU": TOUCH})

    assert asked.offered_by(cpu(memory=1000.0))
    assert not asked.offered_by(cpu(memory=999.0))
    assert not asked.offered_by(card())


def test_what_a_worker_of_ours_declares():
    assert declared(2048, threads=2) == {"CPU": 2.0, "MEMORY": 1648.0}
    assert declared(2048, cards=1) == {"GPU": 1.0, "MEMORY": 1648.0}
    assert declared(0, threads=1) == {"CPU": 1.0}
