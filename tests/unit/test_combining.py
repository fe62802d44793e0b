import numpy as np
import pytest

from configs.errors import BadData
from ensemble import baselines as ways
from ensemble.blend import Blend
from ensemble.rule import ROUNDS, Rule
from ensemble.sampling import members_of
from ensemble.search import Search
from models.scores import decide
from pipeline.ensembles import voters
from pipeline.ensembles.combining import Ballot, Rounds, Sum, from_json, to_json
from pipeline.ensembles.learning import METHODS, baselines
from pipeline.ensembles.stored_scores import Board, ScoredPart
from storage.records import TrainedModel

MODELS = 7
NAMES = [(1, number, 1) for number in range(1, MODELS + 1)]
METRICS = ("accuracy", "f1_score", "mcc")


def part(seed, levels):
    """Scores of few levels, some of them neighbours: ties and near ties are common."""
    rng = np.random.default_rng(seed)
    y = (rng.random(120) < 0.4).astype(np.int8)
    told = np.clip(0.3 * y + 0.7 * rng.random((MODELS, 120)), 0, 1)
    scores = (np.round(told * levels) / levels).astype(np.float32)
    nudged = rng.random(scores.shape) < 0.3
    scores[nudged] = np.nextafter(scores[nudged], np.float32(0))
    return ScoredPart(y=y, scores=scores, votes=decide(scores, 0.5))


def model(number):
    fields = dict.fromkeys(TrainedModel.__slots__, "")
    named = {"batch_id": 1, "model_no": number, "model_sub_no": 1, "threshold": 0.7}
    return TrainedModel(**fields | named)


def ballot(of):
    return Ballot(
        scores=dict(zip(NAMES, of.scores, strict=True)),
        votes=dict(zip(NAMES, of.votes, strict=True)),
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_a_row_is_called_where_its_score_reaches_the_threshold(seed, metric):
    valid, test = part(seed, 4), part(seed + 50, 6)
    board = Board(models=tuple(map(model, range(1, MODELS + 1))), valid=valid, test=test)
    learned = dict(baselines(board, metric))
    learned["vote"] = Rounds(
        seed=1,
        tried=((1, 1),),
        ensemble_no=1,
        round_votes=2,
        final_votes=7,
        rounds=tuple(tuple(np.roll(NAMES, turn, 0)[:3].tolist()) for turn in range(10)),
    )
    learned["vote"] = from_json(to_json(learned["vote"]))
    assert set(learned) == set(METHODS)
    voted = learned["vote"].apply(ballot(test))
    assert np.array_equal(voted.called, voted.ones >= 7)
    for combination in learned.values():
        for rows in (valid, test):
            outcome = combination.apply(ballot(rows))
            # Also as float64, in which SQL and most programs compare.
            wide = outcome.score.astype(np.float64)
            assert np.array_equal(outcome.called, wide >= combination.threshold)


@pytest.mark.parametrize("rounds", [1, 3, 20, 97, 2999, ROUNDS])
def test_a_share_of_rounds_tells_how_many_they_are(rounds):
    shares = (np.arange(rounds + 1) / rounds).astype(np.float32)

    assert (np.diff(shares) > 0).all()


def test_a_stack_of_models_that_say_nothing_still_scores():
    scores = np.full((MODELS, 40), 0.25, np.float32)
    labels = np.arange(40) % 4 == 0
    rows = ScoredPart(y=labels.astype(np.int8), scores=scores, votes=scores > 0.5)
    blend = ways.find()["stack"](scores, labels, "f1_score")

    outcome = Sum.named(blend, NAMES).apply(ballot(rows))

    assert len(set(outcome.score.tolist())) == 1
    assert outcome.score[0] == pytest.approx(0.25, abs=0.01)


def test_a_model_that_says_nothing_is_not_the_best_one_tuned():
    """No threshold of it defines the metric."""
    rows = part(0, 4)
    rows.scores[0] = 0.25
    board = Board(models=tuple(map(model, range(1, MODELS + 1))), valid=rows, test=rows)

    assert NAMES[0] not in baselines(board, "mcc")["tuned"].names


def test_of_equally_good_models_the_first_is_the_best_one():
    rows = part(0, 4)
    rows.scores[:] = rows.scores[0]
    rows.votes[:] = rows.votes[0]
    board = Board(models=tuple(map(model, range(1, MODELS + 1))), valid=rows, test=rows)

    found = baselines(board, "f1_score")

    assert found["single"].names == found["tuned"].names == (NAMES[0],)


WRITTEN = {
    "vote": '{"kind": "rounds", "seed": 42, "tried": [[1, 900]], "ensemble_no": 7, '
    '"round_votes": 2, "final_votes": 1, "rounds": [[[1, 1, 1], [1, 2, 1], [1, 3, 1]]]}',
    "all": '{"kind": "sum", "method": "all", "of": "votes", "intercept": 0.0, '
    '"threshold": 0.6666666865348816, "members": [[1, 1, 1], [1, 2, 1], [1, 3, 1]], '
    '"weights": [1.0, 1.0, 1.0]}',
    "mean": '{"kind": "sum", "method": "mean", "of": "scores", "intercept": 0.0, '
    '"threshold": 0.5, "members": [[1, 1, 1], [1, 2, 1]], "weights": [0.5, 0.5]}',
    "stack": '{"kind": "sum", "method": "stack", "of": "scores", "intercept": -2.0, '
    '"threshold": 0.5, "members": [[1, 1, 1], [1, 2, 1]], "weights": [4.0, 0.0]}',
}
"""As the first release wrote them: they are read for ever."""


@pytest.mark.parametrize("method", WRITTEN)
def test_what_the_first_release_wrote_is_still_read(method):
    told = np.array([[0.5, 0.25], [0.0, 0.75], [1.0, 0.5]], np.float32)
    said = Ballot(
        scores=dict(zip(NAMES, told, strict=False)),
        votes=dict(zip(NAMES, told >= 0.5, strict=False)),
    )
    expected = {
        "vote": ([1, 1], [1, 1]),
        "all": ([2 / 3, 2 / 3], [2, 2]),
        "mean": ([0.25, 0.5], None),
        "stack": ([0.5, 1 / (1 + np.e)], None),
    }
    score, ones = expected[method]

    outcome = from_json(WRITTEN[method]).apply(said)

    assert outcome.score.tolist() == pytest.approx(score, rel=1e-6)
    assert ones == (None if outcome.ones is None else outcome.ones.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_what_was_learned_survives_as_json_to_the_last_bit(seed):
    board = Board(
        models=tuple(map(model, range(1, MODELS + 1))), valid=part(seed, 5), test=part(seed, 4)
    )
    for combination in baselines(board, "f1_score").values():
        assert from_json(to_json(combination)) == combination
        assert from_json(to_json(combination, versions={"numpy": "9"})) == combination


@pytest.mark.parametrize("text", ['{"kind": "product"}', "[]", "{", '{"kind": "sum"}'])
def test_a_text_that_no_batch_wrote_is_bad_data(text):
    with pytest.raises(BadData, match="not what an ensemble batch wrote"):
        from_json(text)


def test_models_without_weight_take_no_part():
    blend = Blend(method="mean", of="scores", weights=(0.5, 0.0, 0.5), threshold=0.5)

    assert Sum.named(blend, NAMES[:3]).names == (NAMES[0], NAMES[2])


def test_the_share_of_rounds_of_each_model_is_that_of_the_definition():
    search = Search(rule=Rule.majority(3, 4), seed=5, metric="f1_score", keep=1)
    drawn = np.concatenate([members_of(5, number, 4, 3, MODELS) for number in (2, 9)])

    expected = [(drawn == model).any(axis=1).mean() for model in range(MODELS)]
    assert voters.shares(search, [2, 9], MODELS).tolist() == expected
