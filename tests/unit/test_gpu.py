import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import structlog

from configs.errors import BadParameter, CardUnusable
from ensemble.counters import agrees, of_card
from ensemble.rule import Rule
from ensemble.search import Search
from ensemble.votes import count, pack
from models import devices
from pipeline.ensembles import ranges

# Numba chooses its simulator when it is imported, so another process must do it. It runs every
# thread in Python: problems are tiny, and the rounds draw more members than Philox has words.
SIMULATED = """
import numpy as np
from ensemble.gpu import count as by_gpu
from ensemble.rule import Rule
from ensemble.votes import count, pack

rng = np.random.default_rng(0)
sizes = ((12, 70, 5, 3, 4), (40, 33, 33, 2, 2), (7, 90, 7, 4, 3))
for models, rows, members, rounds, ensembles in sizes:
    votes, labels = rng.random((models, rows)) < 0.4, rng.random(rows) < 0.3
    parts = [pack(votes[:, :20], labels[:20]), pack(votes[:, 20:], labels[20:])]
    for rule in (
        Rule.majority(members, rounds),
        Rule(members=members, rounds=rounds, round_votes=2, final_votes=1),
    ):
        arguments = (parts, rule, 2**63 + 5, 2**40, 2**40 + ensembles)
        assert np.array_equal(count(*arguments), by_gpu(*arguments)), rule
print("equal")
"""


@pytest.mark.slow
def test_a_simulated_gpu_counts_the_same_integers():
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr


def test_a_counter_that_is_wrong_once_is_not_used():
    def wrong(parts, rule, seed, first, last):
        counts = count(parts, rule, seed, first, last)
        counts[1, -1, 3] += 1
        return counts

    assert agrees(count)
    assert not agrees(wrong)


def test_a_machine_whose_card_cannot_count_goes_on_with_its_processor(monkeypatch):
    def missing(name):
        raise ImportError(f"no module {name}")

    monkeypatch.setattr("ensemble.counters.import_module", missing)
    monkeypatch.setattr(devices, "count", lambda: 1)
    ranges._counter.cache_clear()
    with structlog.testing.capture_logs() as logs:
        assert ranges._counter() is count
    ranges._counter.cache_clear()

    assert [log["said"] for log in logs] == [
        "it cannot count votes: ImportError: no module ensemble.gpu"
    ]


def test_a_card_that_counts_wrongly_is_refused(monkeypatch):
    class Gpu:
        def count(*given):
            return count(*given) + 1

    monkeypatch.setattr("ensemble.counters.import_module", lambda _: Gpu)
    with pytest.raises(CardUnusable, match="other votes than the processor"):
        of_card()


def test_a_process_that_sees_no_card_does_not_look_for_one(monkeypatch):
    monkeypatch.setattr("ensemble.counters.import_module", lambda _: pytest.fail("it looked"))
    monkeypatch.setattr(devices, "count", lambda: 0)
    ranges._counter.cache_clear()
    assert ranges._counter() is count


@pytest.mark.parametrize("every", [False, True])
def test_a_card_that_fails_in_the_middle_of_a_range_leaves_it_to_the_processor(monkeypatch, every):
    monkeypatch.setattr("ensemble.search.STEP", 4)
    rng = np.random.default_rng(0)
    parts = [pack(rng.random((6, 40)) < 0.4, rng.random(40) < 0.3) for _ in range(2)]
    search = Search(rule=Rule.majority(3, 2), seed=1, metric="f1_score", keep=5)
    steps = []

    def card(parts, rule, seed, first, last):
        steps.append(first)
        if len(steps) > 1:
            raise MemoryError("CUDA_ERROR_OUT_OF_MEMORY")
        return count(parts, rule, seed, first, last)

    def counted(counter):
        monkeypatch.setattr(ranges, "_counter", lambda: counter)
        return ranges.count_range(parts, search, 1, 13, every=every)

    with structlog.testing.capture_logs() as logs:
        expected, found = counted(count), counted(card)

    assert steps == [1, 5]
    assert np.array_equal(found.best.numbers, expected.best.numbers)
    assert np.array_equal(found.best.counts, expected.best.counts)
    assert not every or np.array_equal(found.hits, expected.hits)
    assert [log["said"] for log in logs] == ["MemoryError: CUDA_ERROR_OUT_OF_MEMORY"]
    with pytest.raises(BadParameter):
        ranges.count_range(parts, replace(search, rule=Rule.majority(7, 2)), 1, 13, every=every)
