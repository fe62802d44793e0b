"""Commands for ensembles, on a batch that is there."""

import json
from pathlib import Path

import pytest

from ensemble.sampling import members_of
from pipeline.ensembles import pictures
from storage import candidates, leaderboard
from storage.schema import dc_batch_detail_t4
from tests.lab import Lab

WAIT = "deepcredit batch wait"


@pytest.fixture
def lab(sqlite_settings, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    return Lab(sqlite_settings, tmp_path)


def listed(lab, candidate_id="C001"):
    return lab(candidates.names, candidate_id)


def test_candidates_are_added_from_a_batch_and_those_there_stay(lab, run):
    batch_id = lab.make_up(5)

    assert run("candidates", "add", "C001", "--from-batch", "1") == (
        0,
        "C001: 5 models added\n",
        "",
    )
    assert listed(lab) == tuple((batch_id, number, 1) for number in range(1, 6))
    code, out, _ = run("candidates", "add", "C001", "--from-batch", "1", "--top", "3")
    assert (code, out) == (0, "C001: 0 models added, 3 on it already\n")


@pytest.mark.parametrize("metric", ["auc", "brier"])
def test_the_best_by_a_metric_are_those_that_the_leaderboard_names(lab, run, metric):
    batch_id = lab.make_up(6)
    code, _, _ = run("candidates", "add", "C002", "--from-batch", "1", "--top", "2", "--by", metric)
    best = run.rows("leaderboard", "--batch", batch_id, "--metric", metric)[:2]

    assert code == 0
    names = [(row["batch_id"], row["model_no"], row["model_sub_no"]) for row in best]
    assert sorted(names) == list(listed(lab, "C002"))


def test_lists_and_their_models_are_shown_with_what_is_trained(lab, run):
    lab.make_up(1)
    lab.list_models("C001", [(1, 2, 1), (1, 1, 1)])
    lab.list_models("후보", [(3, 1, 1)])

    code, out, _ = run("candidates", "list", "--format", "csv")
    assert (code, out) == (0, "candidate_id,models,trained\nC001,2,1\n후보,1,0\n")
    code, out, _ = run("candidates", "list", "C001", "--format", "csv")
    assert out == "batch_id,model_no,model_sub_no,trained\n1,1,1,yes\n1,2,1,no\n"
    code, out, err = run("candidates", "list", "C009")
    assert (code, out) == (1, "")
    assert "there are: C001 (2 models), 후보 (1 model)" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from-batch", "77"), "batch 77 does not exist"),
        (("--from-batch", "1"), "batch 1 is of mode predict; name a train batch; none has"),
        (("--from-batch", "1", "--by", "luck"), "unknown metric 'luck'; there are: accuracy,"),
    ],
)
def test_candidates_from_where_there_are_none_is_an_error(lab, run, arguments, said):
    lab.add(mode="predict")
    code, out, err = run("candidates", "add", "C001", *arguments)
    assert code in (1, 2)
    assert out == ""
    assert said in err


def test_a_batch_that_trains_nothing_is_refused_with_those_that_do(lab, run):
    first, second = lab.make_up(2), lab.make_up(2)
    predict = lab.add(mode="predict", train_batch_id=first)
    names = f"the newest with models: {second}, {first}\n"

    for number, what in (
        (predict, "is of mode predict; name a train batch"),
        (77, "does not exist"),
    ):
        said = (1, "", f"error: batch {number} {what}; {names}")
        assert run("candidates", "add", "C001", "--from-batch", number) == said
        assert run("leaderboard", "--batch", number) == said


def test_models_of_a_batch_that_has_not_ended_are_not_there_yet(lab, run):
    waiting, failed = lab.add(mode="train"), lab.add(mode="train", state="E")
    running = lab.add(mode="train", state="U")

    for number, stands in (
        (waiting, f"still waits to run and has no trained model yet; first: {WAIT} {waiting}"),
        (running, f"still runs and has no trained model yet; first: {WAIT} {running}"),
        (failed, "has no trained model"),
    ):
        said = run("candidates", "add", "C001", "--from-batch", number, "--top", "5")
        assert said == (1, "", f"error: batch {number} {stands}\n")


def test_a_list_of_two_splits_is_noted_and_no_ensemble_of_it_is_added(lab, run):
    first, second = lab.make_up(3), lab.make_up(2, seed=1)
    assert run("candidates", "add", "C001", "--from-batch", first)[2] == ""
    ensemble = ("--mode", "ensemble", "--candidate", "C001", "--param", "members=2")
    code, number, err = run("batch", "add", *ensemble)
    assert (code, err) == (0, "")

    code, out, err = run("candidates", "add", "C001", "--from-batch", second)

    assert (code, out) == (0, "C001: 2 models added\n")
    mixed = "candidate_id 'C001' mixes models of 2 splits, so that one model's test rows would be"
    assert err.startswith(f"note: {mixed}")
    assert err.endswith(
        f"batch {second}, model 1/1, batch {second}, model 2/1; no ensemble can use it like that\n"
    )
    for words in (("add", *ensemble), ("retry", number.strip()), ("rerun", number.strip())):
        code, out, err = run("batch", *words)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {mixed}")


def test_equal_models_of_two_batches_are_told_wherever_the_list_is_named(lab, run):
    first, second = lab.make_up(4), lab.make_up(3)
    assert run("candidates", "add", "C001", "--from-batch", first)[2] == ""
    lab.sql(
        "UPDATE dc_model SET sha256 = (SELECT sha256 FROM dc_model AS other"
        f" WHERE batch_id = {first} AND other.model_no = dc_model.model_no)"
        f" WHERE batch_id = {second} AND model_no > 1"
    )
    said = f"2 of 7 models equal to others (batch {second}, model 2/1 to batch {first}, model 2/1)"
    told = f"note: {said}, which count twice\n"

    assert run("candidates", "add", "C001", "--from-batch", second)[2] == told
    assert run("candidates", "list", "C001")[2] == told
    small = [f"--param={each}" for each in ("members=2", "rounds=3", "ensembles=1000")]
    code, number, err = run("batch", "add", "--mode", "ensemble", "--candidate", "C001", *small)
    assert (code, err) == (0, told)
    assert lab.execute(int(number)).endswith(f"; {said}, which count twice")


def test_members_of_any_ensemble_are_told(lab, run):
    train = lab.make_up(9)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 10)])
    batch_id = lab.ensemble({"ensembles": 2000, "members": 4, "rounds": 3, "keep": 1, "detail": 1})
    # The list may change afterwards; the batch remembers what it drew from.
    lab.list_models("C001", [(train, 99, 1)])

    for number in (1, 1234, 2000):
        code, out, _ = run("ensemble", "members", batch_id, number)
        assert code == 0
        drawn = members_of(42, number, 3, 4, 9)
        assert json.loads(out) == [[[train, int(place) + 1, 1] for place in row] for row in drawn]
    best = lab.rows(dc_batch_detail_t4, batch_id)
    _, out, _ = run("ensemble", "members", batch_id, best[0].ensemble_no)
    assert json.loads(out) == [json.loads(row.members) for row in best]


def test_members_of_what_is_no_ensemble_is_an_error(lab, run):
    train = lab.make_up(9)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 10)])
    batch_id = lab.ensemble({"ensembles": 2000, "members": 4, "rounds": 3})
    waiting = lab.add(mode="ensemble")

    for number, ensemble, said in (
        (99, "1", "batch 99 does not exist"),
        (train, "1", "is a train batch, not an ensemble batch"),
        (waiting, "1", "has no report yet"),
        (batch_id, "2001", "has ensembles 1 to 2000, not 2001"),
        (batch_id, "0", "has ensembles 1 to 2000, not 0"),
    ):
        code, out, err = run("ensemble", "members", number, ensemble)
        assert code in (1, 2)
        assert out == ""
        assert said in err


def test_pictures_are_told_with_their_place_and_copied(lab, run, monkeypatch, tmp_path):
    def draw(board, searched, judged, context):
        return tuple(pictures._put(name, name.encode(), context) for name in ("roc", "membership"))

    monkeypatch.setattr(pictures, "draw", draw)
    train = lab.make_up(5)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 6)])
    batch_id = lab.ensemble({"ensembles": 2000, "members": 3, "rounds": 3})
    ask = ("--store-url", lab.settings.store_url, "ensemble", "pictures")

    told = [line.split() for line in run(*ask, batch_id)[1].splitlines()]
    code, out, _ = run(*ask, batch_id, "--into", "new/folder")

    assert [name for name, _ in told] == ["membership", "roc"]
    assert [Path(place).read_text() for _, place in told] == ["membership", "roc"]
    assert code == 0
    for name in ("membership", "roc"):
        file = Path("new/folder", f"E{batch_id}-{name}.png")
        assert str(file) in out
        assert (tmp_path / file).read_text() == name
    line = run.error(*ask, batch_id, "--into", "/proc", code=2)  # it is there, and takes no file
    assert "--into: /proc: No such file or directory; name a folder where you may write" in line
    assert "ensemble pictures" in run("results", batch_id)[1].splitlines()[-1]
    for number, said in ((train, "is a train batch"), (77, "batch 77 does not exist")):
        assert said in run(*ask, number)[2]
    below_a_file = run(*ask, batch_id, "--into", f"new/folder/E{batch_id}-roc.png/x")
    assert (below_a_file[0], "name a folder where you may write" in below_a_file[2]) == (2, True)


def test_results_show_what_each_method_gains_over_the_best_single_model(lab, run):
    train = lab.make_up(9)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 10)])
    batch_id = lab.ensemble({"ensembles": 2000, "members": 4, "rounds": 3})
    methods = lab(leaderboard.methods, batch_id)

    code, out, _ = run("results", batch_id)

    head, *rows = out[out.index("method  ") :].splitlines()
    assert code == 0
    assert rows[1].split()[:2] == ["vote", "answer"]
    end = head.index(" gain ") + len(" gain")
    assert [row[:end].split()[-1] for row in rows[1 : 1 + len(methods)]] == [
        f"{method['test_gain']:.4f}" for method in methods
    ]


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        ("mcc", "valid mcc  test mcc  valid accuracy"),
        ("accuracy", "valid accuracy  test accuracy  valid f1"),
    ],
)
def test_results_show_the_metric_that_ranks_ensembles(lab, run, metric, named):
    train = lab.make_up(5)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 6)])
    batch_id = lab.ensemble({"ensembles": 50, "members": 3, "rounds": 1, "metric": metric})
    best = lab(leaderboard.ensembles, batch_id, limit=1)[0]

    _, out, _ = run("results", batch_id, "--limit", "1")

    title, _, head, _, row = out[out.index("the best ensembles") :].splitlines()[:5]
    assert title == f"the best ensembles, by {metric} on valid;"
    assert f"alike  {named}" in head
    assert row.split()[3] == f"{best[f'valid_{metric}']:.4f}"


def test_results_list_ensembles_with_equal_figures_once_and_csv_lists_every_one(lab, run):
    train = lab.make_up(4)
    lab.list_models("C001", [(train, number, 1) for number in range(1, 5)])
    batch_id = lab.ensemble({"ensembles": 2000, "members": 3, "rounds": 1, "keep": 300})
    figures = [f"{part}_{n}" for part in ("valid", "test") for n in ("tn", "fp", "fn", "tp")]
    kept = lab(leaderboard.ensembles, batch_id, limit=300)
    groups = {}
    for row in kept:
        groups.setdefault(tuple(row[name] for name in figures), []).append(row)

    out = run("results", batch_id)[1]
    short = run("results", batch_id, "--limit", "1")[1]
    every = run("results", batch_id, "--limit", "300", "--format", "csv")[1]

    head, _, *lines = out[out.index("#  ensemble") :].splitlines()
    rows = [line.split() for line in lines[: lines.index("")]]
    assert head.split()[:3] == ["#", "ensemble", "alike"]
    assert [tuple(map(int, row[:3])) for row in rows] == [
        (same[0]["rank_no"], same[0]["ensemble_no"], len(same)) for same in groups.values()
    ]
    assert sum(int(row[2]) for row in rows) == 300 > len(rows)
    assert short.splitlines()[-3].split() == rows[0]
    assert len(every.splitlines()) == 301
