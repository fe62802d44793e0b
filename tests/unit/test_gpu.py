import os
import subprocess
import sys

from ensemble.counters import agrees, fastest
from ensemble.votes import count

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
    def wrong(parts, rule, seed, first, last, instructions=None):
        counts = count(parts, rule, seed, first, last)
        counts[1, -1, 3] += 1
        return counts

    assert agrees(count)
    assert not agrees(wrong)


def test_there_is_a_counter_whatever_the_machine_has():
    assert agrees(fastest())
