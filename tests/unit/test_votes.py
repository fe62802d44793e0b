from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadData, BadParameter
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


@settings(max_examples=20, deadline=None)
@given(problems(), st.integers(0, 2**64 - 1), st.integers(1, 2**63 - 10))
def test_counts_are_those_of_the_reference_whatever_the_instructions(drawn, seed, first):
    votes, labels, rule = drawn
    part = pack(votes, labels)
    expected = reference.count(votes, labels, rule, seed, first, first + 2)

    for instructions in Instructions.available():
        got = count([part], rule, seed, first, first + 2, instructions)
        assert np.array_equal(expected, got[0]), instructions


def test_both_parts_are_counted_with_the_same_members():
    votes, labels = problem(1, 50, 1500)
    rule = Rule.majority(9, 4)
    parts = [pack(votes[:, :700], labels[:700]), pack(votes[:, 700:], labels[700:])]

    got = count(parts, rule, 42, 5, 300)

    assert np.array_equal(got[0], count(parts[:1], rule, 42, 5, 300)[0])
    assert np.array_equal(got.sum(axis=0), count([pack(votes, labels)], rule, 42, 5, 300)[0])
    assert got[0].sum(axis=-1).tolist() == [700] * 295


def test_counts_do_not_depend_on_how_the_range_is_cut():
    votes, labels = problem(2, 80, 513)
    part, rule = pack(votes, labels), Rule.majority(30, 20)
    whole = count([part], rule, 0, 1, 1001)[0]

    pieces = [
        count([part], rule, 0, a, b)[0] for a, b in ((1, 2), (2, 900), (900, 900), (900, 1001))
    ]

    assert np.array_equal(whole, np.concatenate(pieces))


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 511, 512, 513, 1024])
def test_rows_that_do_not_exist_are_counted_nowhere(rows):
    rule = Rule(members=3, rounds=2, round_votes=1, final_votes=1)
    for vote in (False, True):
        part = pack(np.full((3, rows), vote), np.arange(rows) % 3 == 0)
        ones = -(-rows // 3)
        expected = [0, rows - ones, 0, ones] if vote else [rows - ones, 0, ones, 0]
        assert count([part], rule, 1, 1, 2)[0].tolist() == [expected]


@pytest.mark.parametrize(("members", "rounds"), [(1, 1), (64, 65), (65, 64), (96, 2)])
def test_every_threshold_counts_rightly(members, rounds):
    votes, labels = problem(3, 100, 70, 0.5)
    part = pack(votes, labels)
    for round_votes in {1, members // 2 + 1, members}:
        for final_votes in {1, rounds // 2 + 1}:
            rule = Rule(
                members=members,
                rounds=rounds,
                round_votes=round_votes,
                final_votes=final_votes,
            )
            expected = reference.count(votes, labels, rule, 9, 1, 2)
            assert np.array_equal(expected, count([part], rule, 9, 1, 2)[0]), rule


def test_threads_share_the_work():
    votes, labels = problem(4, 60, 2000)
    part, rule = pack(votes, labels), Rule.majority(30, 20)
    cuts = [(first, first + 100) for first in range(1, 1601, 100)]

    with ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(lambda cut: count([part], rule, 1, *cut)[0], cuts))

    assert np.array_equal(np.concatenate(pieces), count([part], rule, 1, 1, 1601)[0])


def test_votes_may_come_one_model_after_another():
    votes = np.array([[False, True, True], [False, False, True]])
    labels = np.array([False, True, True])

    part = pack(iter(votes), labels, models=2)

    assert part.bits[0, :, 0].tolist() == [0b110, 0b100]
    assert (part.rows, part.ones, part.models) == (3, 2, 2)


def test_parts_of_the_same_votes_have_the_same_digest_and_others_do_not():
    votes, labels = problem(5, 4, 100)
    other = votes.copy()
    other[3, 99] ^= True

    assert pack(votes, labels).sha256 == pack(votes.copy(), labels).sha256
    assert (
        len(
            {
                pack(votes, labels).sha256,
                pack(other, labels).sha256,
                pack(votes, ~labels).sha256,
                pack(votes[:, :99], labels[:99]).sha256,
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ((11, 1, 1, 1), "members is 11; with 10 candidate models it can be 1 to 10"),
        ((0, 1, 1, 1), "members is 0"),
        ((3, 0, 1, 1), "rounds is 0"),
        ((3, 2, 4, 1), "roundVotes is 4; with members = 3 it can be 1 to 3"),
        ((3, 2, 0, 1), "roundVotes is 0"),
        ((3, 2, 1, 3), "finalVotes is 3; with rounds = 2 it can be 1 to 2"),
        ((3, 2, 1, 0), "finalVotes is 0"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(rule, message):
    members, rounds, round_votes, final_votes = rule
    rule = Rule(members=members, rounds=rounds, round_votes=round_votes, final_votes=final_votes)
    with pytest.raises(BadParameter, match=message):
        count([pack(*problem(6, 10, 20))], rule, 1, 1, 2)


def test_majority_is_more_than_half():
    assert Rule.majority(30, 20) == Rule(members=30, rounds=20, round_votes=16, final_votes=11)
    assert Rule.majority(7, 1, round_votes=2).round_votes == 2


def test_votes_that_do_not_fit_are_refused():
    votes, labels = problem(7, 5, 10)
    with pytest.raises(BadData, match="do not fit"):
        pack(votes, labels[:9])
    with pytest.raises(BadData, match="votes of 5 models only, not of 6"):
        pack(iter(votes), labels, models=6)
    with pytest.raises(BadData, match="do not fit"):
        pack(iter(votes), labels, models=4)
    with pytest.raises(BadData, match="nothing to vote on"):
        pack(votes[:, :0], labels[:0])
    with pytest.raises(BadData, match="different numbers of models"):
        count([pack(votes, labels), pack(votes[:4], labels)], Rule.majority(3, 1), 1, 1, 2)


def test_votes_that_lie_badly_in_memory_are_refused_before_machine_code_reads_them():
    part = pack(*problem(8, 5, 700))
    raw = np.zeros(part.bits.size + 1, dtype=np.uint64)
    start = 0 if raw.ctypes.data % 64 else 1
    bits = raw[start : start + part.bits.size].reshape(part.bits.shape)
    for bad in (bits, part.bits[:, ::-1], part.bits.astype(np.int64)):
        with pytest.raises(ValueError, match="contiguous and at a multiple of 64 bytes"):
            count([replace(part, bits=bad)], Rule.majority(3, 1), 1, 1, 2)
