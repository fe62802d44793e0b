import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from configs.errors import BadParameter
from ensemble import votes
from ensemble.draw_code import SHIFT, Layout
from ensemble.kernel import kernel_for, pool_of
from ensemble.native import Instructions
from ensemble.rule import Rule
from ensemble.sampling import members_of, philox, round_members, words

ONES = 0xFFFFFFFF


def drawn(seed, first, ensembles, rounds, members, models, instructions=None):
    """(ensembles, rounds, members) model numbers, by the kernel."""
    rule = Rule.majority(members, rounds)
    kernel = kernel_for(rule, instructions or Instructions.available()[0])
    offsets = np.empty((ensembles, rounds, members), dtype=np.uint32)
    pool = pool_of(models)
    kernel.draw(seed, first, offsets, pool)
    assert np.array_equal(pool, pool_of(models))  # as it was
    return offsets >> SHIFT


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_words_its_authors_published(counter, key, expected):
    assert philox(counter, key) == expected


def test_members_are_what_they_have_always_been():
    # Stored results name ensembles by number: these lists may never change.
    assert members_of(42, 1, 3, 5, 374).tolist() == [
        [81, 289, 246, 276, 333],
        [359, 175, 171, 103, 144],
        [277, 256, 226, 312, 60],
    ]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(1, 2**63 - 5),
    st.integers(1, 40),
    st.integers(1, 5000),
    st.data(),
)
def test_kernel_draws_what_is_defined_whatever_the_instructions(seed, first, rounds, models, data):
    members = data.draw(st.integers(1, max(1, min(models, 4000 // rounds))))
    expected = [members_of(seed, first + e, rounds, members, models) for e in range(2)]

    for instructions in Instructions.available():
        got = drawn(seed, first, 2, rounds, members, models, instructions)
        assert np.array_equal(expected, got), instructions


def test_the_members_of_one_ensemble_are_those_defined():
    found = votes.members(Rule.majority(30, 20), 2**64 - 1, 987_654, 374)

    assert np.array_equal(found, members_of(2**64 - 1, 987_654, 20, 30, 374))
    with pytest.raises(BadParameter, match="members is 30"):
        votes.members(Rule.majority(30, 20), 1, 1, 29)


def test_a_flag_is_of_an_ensemble_and_a_round_and_the_last_one_of_none():
    layout = Layout(members=40, rounds=3)  # a round takes two groups
    rejected = layout.rejected(2)
    rejected[:] = 0
    rejected[0, 1] = rejected[1, 4] = 1
    rejected[:, -1] = 1

    assert list(layout.rejections(rejected)) == [(0, 0), (1, 2)]


def test_a_word_that_would_not_be_uniform_is_rejected():
    models, members, seed, ensemble, round_no = 60_000, 32, 7, 19, 282
    stream = words(seed, ensemble, round_no)
    first = [next(stream) for _ in range(members)]
    left = range(models, models - members, -1)
    rejected = [w * n % 2**32 < 2**32 % n for w, n in zip(first, left, strict=True)]
    assert sum(rejected) == 1  # once in thousands of rounds: found by trying

    got = drawn(seed, ensemble - 1, 3, round_no + 1, members, models)
    expected = round_members(seed, ensemble, round_no, members, models)
    assert got[1, round_no - 1].tolist() == expected
    careless = [i + w * n // 2**32 for i, (w, n) in enumerate(zip(first, left, strict=True))]
    assert [a == b for a, b in zip(expected, careless, strict=True)].index(False) == rejected.index(
        True
    )


def test_members_do_not_depend_on_how_many_ensembles_are_asked_for():
    many = drawn(3, 1, 1000, 20, 30, 374)

    assert np.array_equal(many[700:705], drawn(3, 701, 5, 20, 30, 374))
    assert np.array_equal(many[700], members_of(3, 701, 20, 30, 374))


def test_fewer_members_are_the_first_of_more():
    assert np.array_equal(members_of(3, 9, 4, 30, 374)[:, :7], members_of(3, 9, 4, 7, 374))


def test_no_model_votes_twice_in_a_round():
    members = np.sort(drawn(5, 1, 2000, 20, 30, 374), axis=-1)

    assert (np.diff(members.astype(int), axis=-1) > 0).all()
    assert members.max() == 373


def test_each_model_is_drawn_equally_often_at_every_place():
    ensembles, rounds, members, models = 20_000, 20, 6, 17
    got = drawn(11, 1, ensembles, rounds, members, models)

    for place in range(members):
        seen = np.bincount(got[..., place].ravel(), minlength=models)
        expected = ensembles * rounds / models
        assert 1e-6 < chi2.sf(((seen - expected) ** 2 / expected).sum(), models - 1) < 1 - 1e-6


def test_each_pair_of_models_is_drawn_equally_often():
    ensembles, rounds, members, models = 4000, 20, 30, 374
    got = drawn(12, 1, ensembles, rounds, members, models).reshape(-1, members)
    chosen = np.zeros((len(got), models), dtype=np.float32)
    np.put_along_axis(chosen, got.astype(np.int64), 1, axis=1)
    together = (chosen.T @ chosen)[np.triu_indices(models, 1)].astype(np.float64)

    share = members * (members - 1) / (models * (models - 1))
    expected = len(got) * share
    # Counts of pairs share a fixed total, and hypergeometric draws spread less than Poisson ones;
    # both bring the statistic a little below its degrees of freedom.
    statistic = ((together - expected) ** 2 / expected).sum()
    freedom = len(together) - 1
    assert together.sum() == len(got) * members * (members - 1) / 2
    assert abs(statistic - freedom * (1 - share)) < 6 * np.sqrt(2 * freedom)


def test_every_set_is_equally_likely():
    got = np.sort(drawn(13, 1, 30_000, 4, 3, 7).reshape(-1, 3), axis=1)
    _, seen = np.unique(got @ np.array([49, 7, 1]), return_counts=True)

    assert len(seen) == 35
    expected = len(got) / 35
    assert 1e-6 < chi2.sf(((seen - expected) ** 2 / expected).sum(), 34) < 1 - 1e-6


def test_rounds_ensembles_and_seeds_are_not_related():
    base = {tuple(members) for members in members_of(1, 1, 200, 30, 374)}
    others = [members_of(1, 2, 200, 30, 374), members_of(2, 1, 200, 30, 374)]

    assert len(base | {tuple(members) for other in others for members in other}) == 600


@pytest.mark.parametrize(
    ("seed", "ensemble", "members", "models", "message"),
    [
        (-1, 1, 3, 5, "seed is -1"),
        (2**64, 1, 3, 5, "seed is"),
        (1, 0, 3, 5, "ensemble number is 0"),
        (1, 1, 6, 5, "members is 6; with 5 candidate models it can be 1 to 5"),
        (1, 1, 0, 5, "members is 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(seed, ensemble, members, models, message):
    with pytest.raises(BadParameter, match=message):
        members_of(seed, ensemble, 1, members, models)
