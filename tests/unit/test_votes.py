import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble import reference
from ensemble.native import Instructions
from ensemble.rule import Rule
from ensemble.votes import count, pack


def problem(seed, models, rows, share=0.4):
    rng = np.random.default_rng(seed)
    return rng.random((models, rows)) < share, rng.random(rows) < 0.3


@st.composite
def problems(draw):
    """Any sizes, but with little enough to draw and add up in Python and NumPy."""
    models = draw(st.one_of(st.integers(1, 5000), st.integers(1, 80)))
    members = draw(st.one_of(st.integers(1, models), st.integers(1, min(models, 70))))
    rounds = draw(st.integers(1, max(1, min(100, 6_000 // members))))
    votes = members * rounds
    rows = draw(st.integers(1, max(1, min(100_000, 1_500_000 // votes, 10_000_000 // models))))
    share = draw(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
    near = min(max(round(share * members), 1), members)  # where decisions differ most
    rule = Rule(
        members=members,
        rounds=rounds,
        round_votes=draw(st.one_of(st.just(near), st.integers(1, members))),
        final_votes=draw(st.integers(1, rounds)),
    )
    return *problem(draw(st.integers(0, 99)), models, rows, share), rule


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(0, 2**64 - 1), st.integers(1, 2**63 - 10))
def test_counts_are_those_of_the_reference_whatever_the_instructions(drawn, seed, first):
    votes, labels, rule = drawn
    part = pack(votes, labels)
    expected = reference.count(votes, labels, rule, seed, first, first + 2)

    for instructions in Instructions.available():
        got = count([part], rule, seed, first, first + 2, instructions)
        assert np.array_equal(expected, got[0]), instructions
