"""Predict batches that name an ensemble batch, on models trained for real."""

import re
import shutil
import time

import numpy as np
import pytest
from sqlalchemy import select, text, update

from configs.errors import BadParameter, NotFound, ParentFailed
from ensemble.reference import round_ones
from ensemble.rule import Rule
from ensemble.sampling import members_of
from launcher.demo import applicants
from models.bands import bands
from models.scores import decide
from pipeline import frames
from pipeline.datasets import load_file
from pipeline.ensembles import pictures
from pipeline.executor import Inline
from pipeline.roles import Choices
from storage import arrays, ensembles
from storage.engine import reading
from storage.schema import (
    dc_batch,
    dc_batch_attempt,
    dc_batch_result,
    dc_ensemble_score,
    dc_model,
    dc_score_band,
)
from tests.lab import Crash, Lab

SMALL = {"ensembles": 500, "members": 3, "rounds": 5, "seed": 3}
COUNTS = ("tn", "fp", "fn", "tp")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def lab(sqlite_settings, tmp_path, kept, monkeypatch):
    """Five models of batch 1 on list C001, and another data set DATA002."""
    monkeypatch.setattr(pictures, "draw", lambda *_: ())

    def train(lab):
        lab.load_applicants()
        lab.load_applicants("DATA002", seed=9)
        lab.train_five(parameters={"threshold": {"metric": "f1_score"}})

    return Lab.once_trained(sqlite_settings, tmp_path, kept, train)


def result(lab, batch_id):
    """The one row of the batch."""
    with reading(lab.engine) as connection:
        query = select(dc_batch_result).where(dc_batch_result.c.batch_id == batch_id)
        return connection.execute(query).mappings().one()


def scores(lab, batch_id, *names):
    return arrays.load(lab.folder / "store" / result(lab, batch_id)["scores_uri"], *names)


def reported(lab, parent, method):
    with reading(lab.engine) as connection:
        found = ensembles.methods(connection, parent)
    return next(each for each in found if (each.method, each.split) == (method, "test"))


@pytest.mark.parametrize("method", ["vote", "all", "mean", "greedy", "weighted", "stack"])
def test_rows_set_aside_give_the_figures_of_the_report(lab, method):
    parent = lab.ensemble(SMALL | {"method": method})
    row = result(lab, lab.predict(parent))
    expected = reported(lab, parent, method)

    assert (row["model_no"], row["model_id"], row["split"]) == (0, "ENSEMBLE", "test")
    assert row["n_rows"] == expected.n_rows
    assert {name: row[name] for name in expected.metrics} == expected.metrics
    assert row["threshold"] == expected.threshold


def test_the_best_model_at_its_best_threshold_is_that_of_training(lab):
    """All five were trained with the threshold that is best by the batch's metric."""
    parent = lab.ensemble(SMALL)
    tuned, single = (reported(lab, parent, method) for method in ("tuned", "single"))

    assert (tuned.threshold, tuned.metrics) == (single.threshold, single.metrics)


def test_an_ensemble_takes_the_rows_of_its_models_under_any_name(lab):
    lab.load_applicants()  # as version 2
    named = {"dataset_group": "DATA001", "dataset_version": 2}
    parent = lab.ensemble(SMALL, **named)
    row = result(lab, lab.predict(parent, **named))

    assert (row["split"], row["n_rows"]) == ("test", reported(lab, parent, "vote").n_rows)


def test_other_rows_get_votes_a_decision_and_a_mean_probability(lab):
    parent = lab.ensemble(SMALL)
    batch_id = lab.predict(parent, dataset_group="DATA002", dataset_version=1)
    share, called, mean, ones = scores(lab, batch_id, "all", "called", "mean", "ones")

    with reading(lab.engine) as connection:
        thresholds = connection.scalars(select(dc_model.c.threshold).order_by(dc_model.c.uri)).all()
        chosen = next(m for m in ensembles.methods(connection, parent) if m.chosen)
        of_batch = dc_ensemble_score.c.batch_id == batch_id
        key = dc_ensemble_score.primary_key.columns
        uris = connection.scalars(
            select(dc_ensemble_score.c.uri).where(of_batch).order_by(*key)
        ).all()
    told = np.array([arrays.load(lab.folder / "store" / uri, "all")[0] for uri in uris])
    votes = np.array([decide(s, t) for s, t in zip(told, thresholds, strict=True)])
    number = int(chosen.parameters.split('"ensemble_no": ')[1].split(",")[0])
    members = members_of(3, number, 5, 3, 5)
    expected = round_ones(votes, members, Rule.majority(3, 5))
    assert len(ones) == 400
    assert np.array_equal(ones, expected)
    assert np.array_equal(called, expected >= 3)
    assert share == pytest.approx(expected / 5)
    assert mean == pytest.approx(told[members.ravel()].mean(axis=0), abs=1e-6)
    row = result(lab, batch_id)
    assert row["tp"] + row["fp"] == called.sum()
    banded = lab.rows(dc_score_band, batch_id, "n_positive")
    assert [each[3:] for each in banded] == [
        (each.band, each.n_rows, each.mean_score) for each in bands(mean, None)
    ]
    ones = lab.value(f"SELECT SUM(n_positive) FROM dc_score_band WHERE batch_id = {batch_id}")
    assert (ones, row["psi"]) == (row["fn"] + row["tp"], None)


def test_categories_that_training_never_had_are_told_if_many_rows_have_them(lab):
    parent = lab.ensemble(SMALL)
    path = lab.folder / "renamed.csv"
    applicants.write_csv(path, 400, 9)
    path.write_text(path.read_text("utf-8").replace("서울", "Seoul"), "utf-8")
    load_file(lab.engine, path, group="DATA003", choices=Choices(target=applicants.TARGET))
    columns = {"mode": "predict", "train_batch_id": parent, "dataset_version": 1}

    same, renamed = (
        lab.execute(lab.add(**columns, dataset_group=f"DATA00{number}")) for number in (1, 3)
    )

    assert same.endswith(" called 1")
    told = r" called 1; region: 1\d\d of 400 rows with a category that training had never or hardly"
    assert re.search(told, renamed)


def test_rows_learned_from_are_told_in_another_guise(lab):
    parent = lab.ensemble(SMALL)
    header, *rows = (lab.folder / "DATA001.csv").read_text("utf-8").splitlines(keepends=True)
    path = lab.folder / "reversed.csv"
    path.write_text("".join([header, *reversed(rows)]), "utf-8")
    choices = Choices(target=applicants.TARGET, id_column=applicants.ID)
    load_file(lab.engine, path, group="DATA003", choices=choices)
    columns = {"mode": "predict", "train_batch_id": parent, "dataset_version": 1}

    said = lab.execute(lab.add(**columns, dataset_group="DATA003"))

    assert "called 1; 224 of 400 rows equal rows learned from: metrics on them flatter" in said


def test_all_rows_of_the_data_set_trained_on_can_be_scored(lab):
    parent = lab.ensemble(SMALL)
    assert result(lab, lab.predict(parent, parameters={"scope": "all"}))["n_rows"] == 400


def test_members_that_an_earlier_run_scored_do_not_score_again(lab):
    parent = lab.ensemble(SMALL)
    expected = result(lab, lab.predict(parent, dataset_group="DATA002", dataset_version=1))
    done = []

    class Dying(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            for ended in super().run(function, tasks, deadline=deadline):
                if len(done) == 3:
                    raise Crash
                done.append(ended.task.name)
                yield ended

    batch_id = lab.add(
        mode="predict", train_batch_id=parent, dataset_group="DATA002", dataset_version=1
    )
    with pytest.raises(Crash):
        lab.execute(batch_id, Dying())
    lab.again(batch_id)
    with pytest.raises(Crash):
        lab.execute(batch_id, Dying())
    lab.again(batch_id)
    done.clear()
    lab.execute(batch_id, Dying())

    assert len(done) == 2
    row = result(lab, batch_id)
    assert {n: row[n] for n in (*COUNTS, "auc")} == {n: expected[n] for n in (*COUNTS, "auc")}


APPLIED_BY = {
    "preparation": [
        """UPDATE dc_dataset_column SET missing_values = '["500"]'
        WHERE dataset_group = 'DATA002' AND column_name = 'loan_amount'"""
    ],
    "models": [
        """UPDATE dc_model SET (uri, sha256) =
            (SELECT uri, sha256 FROM dc_model WHERE model_no = 1 AND model_sub_no = 3)
            WHERE model_no = 1""",
        """UPDATE dc_ensemble_model SET sha256 =
            (SELECT sha256 FROM dc_model WHERE model_no = 1 AND model_sub_no = 3)
            WHERE model_no = 1""",
    ],
}


@pytest.mark.parametrize("changed", APPLIED_BY)
def test_whatever_the_scores_of_members_come_from_scores_them_again(lab, changed):
    parent = lab.ensemble(SMALL | {"method": "all"})
    batch_id = lab.predict(parent, dataset_group="DATA002", dataset_version=1)
    for statement in APPLIED_BY[changed]:
        lab(lambda c, s=statement: c.execute(text(s)))
    lab.again(batch_id)
    lab.execute(batch_id)

    with reading(lab.engine) as connection:
        query = select(dc_ensemble_score.c.fence).where(dc_ensemble_score.c.batch_id == batch_id)
        fences = sorted(connection.scalars(query))
    assert fences == ([2] * 5 if changed == "preparation" else [1, 1, 1, 2, 2])


def test_members_of_data_sets_that_differ_are_not_all_prepared_as_the_first(lab):
    """The same rows, in which 500 means missing for one model and an amount for the other."""
    lab.load_applicants("DATA003", seed=3, missing={"loan_amount": ("500",)})
    lab.load_applicants("DATA003", seed=3)
    forest = [("ML-RF", '{"n_estimators": 5}')]
    first, second = (
        lab.train_each(forest, dataset_group="DATA003", dataset_version=v) for v in (1, 2)
    )
    lab.list_models("C003", [(first, 1, 1), (second, 1, 1)])
    rule = {"ensembles": 1, "members": 2, "rounds": 1, "method": "all"}
    parent = lab.ensemble(rule, "C003", dataset_group=None, dataset_version=None)
    everything = {"parameters": {"scope": "all"}}

    for group in (None, "DATA003"):
        with pytest.raises(BadParameter, match=r"DATA003/1, DATA003/2, whose columns"):
            lab.predict(parent, dataset_group=group, dataset_version=None, **everything)
    # Rows set aside have scores already, so that nothing is prepared.
    lab.predict(parent, dataset_group=None, dataset_version=None)
    lab.predict(parent, dataset_group="DATA003", dataset_version=2, **everything)


def test_a_batch_that_now_names_an_ensemble_forgets_the_models_it_applied(lab):
    parent = lab.ensemble(SMALL)
    batch_id = lab.predict(1)
    change = update(dc_batch).where(dc_batch.c.batch_id == batch_id)
    lab(lambda connection: connection.execute(change.values(train_batch_id=parent)))
    lab.again(batch_id)
    lab.execute(batch_id)

    assert result(lab, batch_id)["model_id"] == "ENSEMBLE"


def test_every_task_of_a_batch_asks_for_its_tag(lab):
    asked = set()

    class Tags(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            asked.update((function.__name__, need(task).tag) for task in tasks)
            yield from super().run(function, tasks, deadline=deadline)

    lab.executor = Tags()
    trained = lab.train_each([("ML-RF", '{"n_estimators": 2}')], need_tag="fit")
    lab.predict(trained, need_tag="apply")
    with reading(lab.engine) as connection:
        (lost, *_) = connection.scalars(
            select(dc_model.c.scores_uri).where(dc_model.c.batch_id == 1)
        )
    (lab.folder / "store" / lost).unlink()
    shutil.rmtree(lab.settings.cache_dir)
    parent = lab.ensemble(SMALL, need_tag="vote")
    other = {"dataset_group": "DATA002", "dataset_version": 1}
    lab.predict(parent, need_tag="members", **other)
    lab.ensemble(SMALL)

    assert asked == {
        ("fit_variant", "fit"),
        ("score_model", "apply"),
        ("score_parts", "vote"),
        ("try_range", "vote"),
        ("score_parts", "members"),
        ("try_range", ""),
    }


def test_the_time_limit_counts_from_before_the_rows_are_read(lab, monkeypatch):
    began, deadlines = [], []
    read_from = frames.read_from

    def read(*arguments):
        began.append(time.monotonic())
        return read_from(*arguments)

    class Clocks(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            deadlines.append(deadline)
            yield from super().run(function, tasks)

    monkeypatch.setattr(frames, "read_from", read)
    other = {"dataset_group": "DATA002", "dataset_version": 1}
    lab.predict(lab.ensemble(SMALL), Clocks(), parameters={"timeLimit": 60}, **other)

    assert deadlines[-1] - 60 <= began[-1]


def test_what_cannot_be_applied_is_refused(lab):
    with pytest.raises(NotFound, match="is a predict batch, not a train or ensemble batch"):
        lab.predict(lab.add(mode="predict", state="C"))
    with pytest.raises(AssertionError, match="nothing to claim"):  # it waits for its parent
        lab.predict(lab.add(mode="ensemble"))
    with pytest.raises(ParentFailed, match="ended in BadData"):
        lab.predict(lab.add(mode="ensemble", state="E", error_class="BadData"))
    with pytest.raises(NotFound, match="no chosen method"):
        lab.predict(lab.add(mode="ensemble", state="C"))
    parent = lab.ensemble(SMALL)
    with pytest.raises(BadParameter, match="scope: DATA002/1 is not the data set trained on"):
        lab.predict(
            parent,
            dataset_group="DATA002",
            dataset_version=1,
            parameters={"scope": "test"},
        )


def test_a_member_that_was_trained_again_is_refused(lab):
    parent = lab.ensemble(SMALL)
    changed = update(dc_model).where(dc_model.c.model_no == 2).values(threshold=0.123)
    lab(lambda connection: connection.execute(changed))
    with pytest.raises(NotFound, match="was trained again since ensemble batch 2 chose it"):
        lab.predict(parent)
    lab(lambda c: c.execute(dc_model.delete().where(dc_model.c.model_no == 2)))
    with pytest.raises(NotFound, match="votes in ensemble batch 2, but is not in dc_model"):
        lab.predict(parent)
    with reading(lab.engine) as connection:
        assert connection.scalar(select(dc_batch.c.state).where(dc_batch.c.batch_id == 2)) == "C"


def test_members_trained_again_because_their_files_were_lost_are_the_same(lab):
    trained = lab.train_each(
        [
            ("ML-XGB", '{"n_estimators": 5}'),
            ("ML-RF", '{"n_estimators": 5}'),
            ("DL-DNN", '{"max_epochs": 2}'),
            ("DL-TABNET", '{"max_epochs": 2}'),
        ]
    )
    lab.list_models("C002", [(trained, number, 1) for number in range(1, 5)])
    parent = lab.ensemble(SMALL, candidate_id="C002")
    before = lab.trained(trained)
    shutil.rmtree(lab.folder / "store" / "models" / f"T{trained}")

    lab.again(trained)
    lab.execute(trained)

    hashes = [
        [(row.sha256, row.scores_sha256) for row in of] for of in (before, lab.trained(trained))
    ]
    assert hashes[0] == hashes[1]
    assert [row.fence for row in lab.trained(trained)] == [2, 2, 2, 2]
    assert result(lab, lab.predict(parent))["state"] == "C"


def test_a_database_restored_from_before_a_run_does_not_overwrite_the_file_of_that_run(lab):
    """It gives the number and the fence again; the store may be the original's."""
    parent = lab.ensemble(SMALL)
    batch_id = lab.predict(parent)
    first = lab.folder / "store" / result(lab, batch_id)["scores_uri"]
    before = first.stat()
    this = update(dc_batch).where(dc_batch.c.batch_id == batch_id)
    lab(lambda c: c.execute(dc_batch_attempt.delete()))
    lab(lambda c: c.execute(this.values(state="I", fence=0)))

    lab.execute(batch_id)

    assert lab.folder / "store" / result(lab, batch_id)["scores_uri"] != first
    assert first.stat() == before
