"""Who is there and who is waited for, on a cluster that is told what to answer."""

import pytest

from configs.errors import ClusterUnavailable
from launcher.cluster.capacity import Has
from launcher.cluster.link import IDLE, Link
from launcher.cluster.placement import Place
from launcher.cluster.workforce import Lost, Workforce


def worker(name, **resources):
    return Has(address=name, host=name, threads=1, memory_mb=None, resources=resources)


ONE, TWO, CARD = worker("one"), worker("two"), worker("card", GPU=1.0)
LOST = ClusterUnavailable("lost the Dask scheduler")
PLACES = {
    "small": Place(),
    "fit": Place({"GPU": 0.25}),
    "elsewhere": Place(hosts=("card", "third")),
}


class Answers:
    """A link whose answers are given beforehand; the last one is given for ever."""

    client, steady = None, True

    def __init__(self, *answers):
        self.now, self.connected, self._answers = 0.0, 0, list(answers)
        self.told = []

    def look(self):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(self, waits):
        self.told.append(waits)

    def again(self, until):
        assert self.now <= until
        self.connected += 1
        self.now += 50


def workforce_of(*answers):
    link = Answers(*answers)
    return link, Workforce(link, lambda: link.now)


def look_every(link, workforce, seconds, times):
    for _ in range(times):
        link.now += seconds
        workforce.look()


def test_a_worker_that_is_away_is_known_for_a_minute():
    link, workforce = workforce_of([ONE, TWO], [ONE])

    look_every(link, workforce, 10, 7)
    assert (workforce.there, workforce.known) == ([ONE], [ONE, TWO])
    assert set(link.told) == {""}
    look_every(link, workforce, 10, 1)
    assert workforce.known == [ONE]


def test_a_scheduler_without_workers_is_given_up_after_a_minute():
    link, workforce = workforce_of([])

    look_every(link, workforce, 30, 2)
    assert link.told == [IDLE, IDLE]
    with pytest.raises(ClusterUnavailable, match="no workers for 60 s"):
        look_every(link, workforce, 1, 1)


def test_a_scheduler_that_had_workers_until_now_is_given_another_minute():
    link, workforce = workforce_of(*[[ONE]] * 10, [])

    look_every(link, workforce, 30, 12)
    with pytest.raises(ClusterUnavailable, match="no workers for 60 s"):
        look_every(link, workforce, 1, 1)


def test_a_scheduler_that_is_back_without_workers_is_given_another_minute():
    link, workforce = workforce_of(LOST, LOST, [])
    workforce.come_back()

    assert (link.now, workforce.there) == (150, [])
    look_every(link, workforce, 30, 2)
    with pytest.raises(ClusterUnavailable, match="no workers for 60 s"):
        look_every(link, workforce, 1, 1)


def test_a_scheduler_that_does_not_answer_is_lost():
    _, workforce = workforce_of(LOST)

    with pytest.raises(Lost, match="lost the Dask scheduler"):
        workforce.look()


def test_what_nobody_has_any_more_is_stranded_after_a_minute():
    link, workforce = workforce_of([ONE, CARD], [ONE])
    look_every(link, workforce, 1, 1)
    assert workforce.stranded(PLACES) == []

    found = []
    for _ in range(8):
        look_every(link, workforce, 10, 1)
        found.append(workforce.stranded(PLACES))
    assert found == [[]] * 7 + [["fit", "elsewhere"]]


def test_what_somebody_has_again_is_not_stranded():
    link, workforce = workforce_of(*[[ONE]] * 5, [ONE, CARD], [ONE])
    for _ in range(10):
        look_every(link, workforce, 10, 1)
        assert workforce.stranded(PLACES) == []


def test_a_scheduler_that_is_lost_again_at_once_is_waited_for():
    link, workforce = workforce_of([ONE], LOST, LOST, [TWO])
    workforce.look()
    workforce.come_back()

    assert link.connected == 3
    assert (workforce.there, workforce.known) == ([TWO], [ONE, TWO])


def test_a_scheduler_that_is_lost_again_and_again_is_given_up_in_the_end():
    link, workforce = workforce_of(LOST)

    with pytest.raises(ClusterUnavailable):
        workforce.come_back()
    assert link.connected == 4


def test_a_long_pause_is_told_unless_nobody_is_there():
    link, workforce = workforce_of(*[[ONE]] * 3, [])
    look_every(link, workforce, 1, 1)
    workforce.pace.ended()

    look_every(link, workforce, 60, 3)
    assert link.told == [
        "",
        *(f"no task has ended for {n}" for n in ("1 minute", "2 minutes")),
        IDLE,
    ]


def test_why_nothing_goes_on_is_said_once():
    told = []
    link = Link(None, None, told.append)

    for waits in ("", IDLE, IDLE, ""):
        link.tell(waits)
    assert told == [IDLE, ""]
