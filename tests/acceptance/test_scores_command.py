"""`deepcredit scores`: which row got which score, compared with the data set's own file."""

import csv
import io
import os
import stat
import sys

import numpy as np
import pytest

from models import kind
from pipeline import frames, mode
from pipeline.datasets import load_file
from pipeline.ensembles import pictures
from pipeline.modes import predict
from pipeline.roles import Choices
from pipeline.rules import from_json
from storage import arrays, datasets
from storage.engine import reading
from tests.desk import applicants, open_desk
from tests.matrix import apply

MODELS = [
    (1, "ML-XGB", '{"n_estimators": 5}'),
    (2, "ML-RF", '{"n_estimators": 10, "grid": {"min_samples_leaf": [5, 20]}}'),
]
CUT = '{"threshold": {"metric": "f1_score"}}'
COUNTS = ("tn", "fp", "fn", "tp")


@pytest.fixture
def desk(bare, sqlite_settings, tmp_path, monkeypatch):
    """Commands find its store and cache."""
    monkeypatch.setenv("DEEPCREDIT_STORE_URL", sqlite_settings.store_url)
    monkeypatch.setenv("DEEPCREDIT_CACHE_DIR", str(sqlite_settings.cache_dir))
    with open_desk(sqlite_settings, tmp_path) as desk:
        desk.load(people(), id_column="고객")
        desk.models(*MODELS)
        yield desk


def people(rows=300, seed=0):
    """In an order that neither ids nor labels have."""
    frame = applicants(rows, seed=seed).drop(columns="id")
    numbers = np.random.default_rng(7).permutation(rows)
    return frame.assign(고객=[f"고객{number:04d}" for number in numbers])


def read(answer):
    code, out, err = answer
    assert (code, err) == (0, "")
    return list(csv.DictReader(io.StringIO(out)))


def counts(rows):
    pairs = [(int(row["target"]), int(row["called"])) for row in rows]
    return tuple(pairs.count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))


def by_id(frame):
    return dict(zip(frame["고객"], frame["y"], strict=True))


def stored(desk, row, *names):
    return arrays.load(desk.folder / "store" / row.scores_uri, *names)


def test_rows_set_aside_have_their_ids_scores_and_calls(desk, run):
    batch_id = desk.predict(desk.train(CUT))
    results = desk.results(batch_id)
    labels = by_id(people())
    seen = set()

    assert len(results) == 3
    for result in results:
        name = f"{result.model_no}/{result.model_sub_no}"
        rows = read(run("scores", batch_id, "--model", name, "--format", "csv"))
        assert list(rows[0]) == ["id", "score", "threshold", "called", "target"]
        assert len({row["id"] for row in rows}) == len(rows) == result.n_rows == 90
        assert all(labels[row["id"]] == int(row["target"]) for row in rows)
        assert counts(rows) == tuple(getattr(result, name) for name in COUNTS)
        calls = [float(row["score"]) >= float(row["threshold"]) for row in rows]
        assert calls == [row["called"] == "1" for row in rows]
        (scores,) = stored(desk, result, "test")
        assert [np.float32(row["score"]) for row in rows] == scores.tolist()
        seen.add(tuple(row["id"] for row in rows))
    assert len(seen) == 1


def test_scores_are_those_that_the_model_gives_to_the_values_of_that_applicant(desk, run):
    train = desk.train()
    rows = read(run("scores", desk.predict(train), "--model", "1/1", "--format", "csv"))
    model, dataset = desk.trained(train)[0], desk(datasets.listing)[0]

    place = desk.folder / "store"
    with reading(desk.engine) as connection:
        frame = frames.read_from(connection, dataset)
    fitted = from_json((place / model.preprocessor_uri).read_text(encoding="utf-8"))
    estimator = kind.estimators("ML-XGB").load(place / model.uri, device="cpu")
    scores = kind.scores_of(estimator, apply(fitted, frame))
    expected = dict(zip(people()["고객"], scores, strict=True))  # the file gives the order
    assert len(rows) == 90
    assert {row["id"]: np.float32(row["score"]) for row in rows} == {
        row["id"]: expected[row["id"]] for row in rows
    }


def test_every_row_of_other_data_gets_the_score_that_its_values_have(desk, run):
    """The same applicants in another order get the same scores, each its own."""
    desk.load(people().sample(frac=1, random_state=3), id_column="고객")
    parent = desk.train()
    one, two = (
        desk.predict(parent, dataset_version=version, batch_param='{"scope": "all"}')
        for version in (1, 2)
    )
    first, second = (
        read(run("scores", n, "--model", "2/2", "--format", "csv")) for n in (one, two)
    )

    assert [row["id"] for row in first] == people()["고객"].tolist()
    assert [row["id"] for row in second] != [row["id"] for row in first]
    assert {row["id"]: row for row in first} == {row["id"]: row for row in second}


def test_an_ensemble_s_calls_are_those_that_were_counted(desk, run, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    train = desk.train(CUT)
    desk.sql(
        "INSERT INTO dc_candidate_model_list (candidate_id, batch_id, model_no, model_sub_no) "
        "SELECT 'C', batch_id, model_no, model_sub_no FROM dc_model"
    )
    small = '{"ensembles": 50, "members": 2, "rounds": 3}'
    parent = desk.add(mode="ensemble", candidate_id="C", batch_param=small, model_group=None)
    desk.run(parent)
    batch_id = desk.predict(parent)
    rows = read(run("scores", batch_id, "--format", "csv"))
    (result,) = desk.results(batch_id)
    plain = read(run("scores", train, "--model", "1", "--format", "csv"))

    expected = ["id", "score", "threshold", "called", "mean", "votes", "target"]
    assert list(rows[0]) == expected
    assert counts(rows) == tuple(getattr(result, name) for name in COUNTS)
    assert all((int(row["votes"]) >= 2) == (row["called"] == "1") for row in rows)
    assert [row["id"] for row in rows] == [row["id"] for row in plain]
    assert "scores no rows; name a train batch" in run.error("scores", parent)


def test_a_mode_says_itself_whether_it_scores_rows(desk, run, monkeypatch):
    batch_id = desk.predict(desk.train())
    before = read(run("scores", batch_id, "--model", "1", "--format", "csv"))
    desk.sql(f"UPDATE dc_batch SET mode = 'real' WHERE batch_id = {batch_id}")
    assert run.error("scores", batch_id) == (
        f"batch {batch_id} has no scores: unknown mode 'real'; there are: ensemble, predict, "
        f"train; set its mode in dc_batch, then `deepcredit batch rerun {batch_id}`"
    )
    monkeypatch.setattr(mode, "available", lambda: ("real",))
    monkeypatch.setitem(sys.modules, "pipeline.modes.real", predict)

    assert read(run("scores", batch_id, "--model", "1", "--format", "csv")) == before


def test_a_train_batch_has_the_scores_of_valid_and_of_test(desk, run):
    batch_id = desk.train(CUT)
    found = {
        split: read(run("scores", batch_id, "--model", "2/1", "--split", split, "--format", "csv"))
        for split in ("valid", "test")
    }

    for result in desk.results(batch_id):
        if (result.model_no, result.model_sub_no) == (2, 1):
            wanted = tuple(getattr(result, name) for name in COUNTS)
            assert counts(found[result.split]) == wanted
    ids = [{row["id"] for row in rows} for rows in found.values()]
    assert not ids[0] & ids[1]
    assert read(run("scores", batch_id, "--model", "2", "--format", "csv")) == found["test"]
    assert "no scores of all, only of test and valid" in run.error(
        "scores", batch_id, "--split", "all"
    )


def test_rows_without_an_id_have_their_number_in_the_file(desk, run):
    desk.load(people().drop(columns="고객"))
    batch_id = desk.predict(desk.train(dataset_version=2), dataset_version=2)
    plain, ours = people()["y"].tolist(), ("scores", batch_id, "--model", "1/1")
    rows = read(run(*ours, "--format", "csv"))

    numbers = [int(row["row_no"]) for row in rows]
    assert len(rows) == 90
    assert [int(row["target"]) for row in rows] == [plain[number - 1] for number in numbers]
    _, out, _ = run(*ours)
    assert "the first 20 of 90 rows of test of G/2; " in out
    assert out.endswith("row_no counts them in the order of the file that was loaded\n")


def test_data_without_a_target_has_scores_without_one(desk, run, tmp_path):
    path = tmp_path / "new.csv"
    people(20, seed=5).drop(columns="y").to_csv(path, index=False)
    load_file(desk.engine, path, group="NEW", choices=Choices(target=None, id_column="고객"))
    batch_id = desk.predict(desk.train(), dataset_group="NEW")
    rows = run.rows("scores", batch_id, "--model", "1")

    assert list(rows[0]) == ["id", "score", "threshold", "called"]
    assert [row["id"] for row in rows] == people(20, seed=5)["고객"].tolist()


def test_a_file_is_whole_and_for_its_owner_alone(desk, run, tmp_path):
    batch_id = desk.predict(desk.train())
    old = os.umask(0)
    try:
        path = tmp_path / "점수.csv"
        answer = run("scores", batch_id, "--model", "1/1", "--to", path)
    finally:
        os.umask(old)
    printed = run("scores", batch_id, "--model", "1/1", "--format", "csv")[1]

    called = sum(row["called"] == "1" for row in csv.DictReader(io.StringIO(printed)))
    assert answer == (0, f"{path}: 90 rows of test of G/1; {called} called 1\n", "")
    assert path.read_text(encoding="utf-8") == printed
    assert "고객" in printed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.glob("*.tmp")) == []
    gone = tmp_path / "none" / "a.csv"
    said = run.error("scores", batch_id, "--model", "1/1", "--to", gone, code=2)
    assert "No such file or directory; name a file that can be written" in said


def test_scores_go_over_no_file_unless_one_says_so(desk, run, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("of another batch", encoding="utf-8")
    command = ("scores", "1", "--to", str(path))

    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert f"{path} is there already; name another file, or say --force" in err

    code, _, err = run(*command, "--force")
    assert (code, "batch 1 does not exist" in err) == (1, True)
    assert path.read_text(encoding="utf-8") == "of another batch"


def test_what_has_no_scores_says_why(desk, run):
    parent = desk.train()
    batch_id = desk.predict(parent)
    waits = desk.add(mode="predict", train_batch_id=parent)

    assert run.error("scores", 99).startswith("batch 99 does not exist")
    assert run.error("scores", waits) == (
        f"batch {waits} has not ended yet; `deepcredit batch wait {waits}` waits for it"
    )
    several = "has scores of 3 models, name one with --model: 1/1, 2/1, 2/2"
    assert several in run.error("scores", batch_id, code=2)
    unknown = "has no scores of model 2/3; there are: 1/1, 2/1, 2/2"
    assert unknown in run.error("scores", batch_id, "--model", "2/3")
    assert "'x' is not like 101/2" in run.error("scores", batch_id, "--model", "x", code=2)
    ours = ("scores", batch_id, "--model", "1/1")
    assert "it writes CSV" in run.error(*ours, "--to", "a", "--format", "json", code=2)
    desk.store.delete(desk.results(batch_id)[0].scores_uri)
    assert desk.results(batch_id)[0].scores_uri in run.error(*ours)


def test_other_rows_than_those_scored_are_refused_until_they_are_scored(desk, run):
    desk.load(people(40, seed=5), id_column="고객")
    batch_id = desk.predict(desk.train(), dataset_version=2)
    ours = ("scores", batch_id, "--model", "1/1", "--format", "csv")
    before = read(run(*ours))
    table = desk(datasets.listing)[1].table_name
    desk.sql(f'UPDATE "{table}" SET "고객" = \'X\' WHERE dc_row_no = 3')

    assert "has changed since it was registered" in run.error(*ours)

    desk.sql(f'DROP TABLE "{table}"')
    for name in ("dc_dataset", "dc_dataset_column"):
        desk.sql(f"DELETE FROM {name} WHERE dataset_version = 2")
    changed = people(40, seed=5).replace({before[2]["id"]: "X"})
    desk.load(changed, id_column="고객", version=2)
    said = run.error(*ours)
    assert said.startswith(f"no data set has the rows that batch {batch_id} scored (content ")

    assert run("batch", "rerun", batch_id)[0] == 0
    desk.run(batch_id)
    assert read(run(*ours)) == [*before[:2], before[2] | {"id": "X"}, *before[3:]]


def test_a_parent_trained_anew_on_other_rows_changes_nothing_of_what_was_scored(desk, run):
    parent = desk.train()
    batch_id = desk.predict(parent)
    ours = ("scores", batch_id, "--model", "1/1", "--format", "csv")
    before = read(run(*ours))
    desk.change(parent, state="I", batch_param='{"randomState": 7}')
    desk.run(parent)

    theirs = read(run("scores", parent, *ours[2:]))
    assert read(run(*ours)) == before
    assert {row["id"] for row in theirs} != {row["id"] for row in before}


def test_scores_of_before_ask_for_another_run_which_keeps_which_rows(desk, run):
    batch_id = desk.predict(desk.train())
    ours = ("scores", batch_id, "--model", "1/1", "--format", "csv")
    before = read(run(*ours))
    desk.sql(
        "UPDATE dc_batch_result SET split_id = NULL, content_sha256 = NULL, "
        "fingerprint = 'of before' WHERE batch_id = :n",
        n=batch_id,
    )

    assert f"`deepcredit batch rerun {batch_id}`" in run.error(*ours)
    assert run("batch", "rerun", batch_id)[0] == 0
    desk.run(batch_id)
    assert read(run(*ours)) == before
