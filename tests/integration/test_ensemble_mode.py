"""Ensemble batches from candidates to report, on models made up by the dozen."""

import json
import re
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import pytest
from sqlalchemy import insert, select, text, update

from configs.errors import (
    BadData,
    BadParameter,
    HostUnfit,
    LeaseLost,
    NotFound,
    ParentNotReady,
    Retry,
    retry_of,
)
from configs.metric_names import VOTE_METRICS
from ensemble import reference
from ensemble.rule import Rule
from ensemble.sampling import members_of
from models.metrics import confusion, metric
from models.scores import decide
from pipeline.ensembles import pictures, ranking, searching
from pipeline.ensembles.candidates import trained
from pipeline.ensembles.combining import Rounds, to_json
from pipeline.ensembles.membership import members_in
from pipeline.executor import Inline
from pipeline.modes.ensemble import MOST_VOTERS
from storage import arrays, candidates, ensembles, results
from storage.engine import reading, transaction
from storage.schema import (
    dc_batch,
    dc_batch_detail_t4,
    dc_batch_histogram,
    dc_batch_method,
    dc_batch_picture,
    dc_batch_result_t4,
    dc_ensemble_model,
    dc_ensemble_range,
    dc_split,
)
from tests.lab import Crash, Lab

MODELS = 24
COUNTS = ("tn", "fp", "fn", "tp")
SMALL = {"ensembles": 3000, "members": 7, "rounds": 5}
REPORT = (
    dc_batch_result_t4,
    dc_batch_detail_t4,
    dc_batch_method,
    dc_batch_histogram,
    dc_ensemble_model,
)


@pytest.fixture
def lab(sqlite_settings, tmp_path):
    return Lab(sqlite_settings, tmp_path)


@pytest.fixture(autouse=True)
def unless_drawn(request, monkeypatch):
    """Pictures take most of a small batch's time; one test asks for them by `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(pictures, "draw", lambda *_: ())


@pytest.fixture
def drawn():
    """Pictures are drawn."""


@pytest.fixture
def listed(lab):
    """A candidate list C001 of models that nobody trained."""
    batch_id = lab.make_up(MODELS)
    lab.list_models("C001", [(batch_id, number, 1) for number in range(1, MODELS + 1)])
    return lab


@dataclass
class Counting(Inline):
    """Counts tasks; dies before the one numbered `dies_at`. `workers` only shapes the ranges."""

    dies_at: int | None = None
    workers: int = 1
    done: int = 0

    def run(self, function, tasks, *, need=None, deadline=None):
        for ended in super().run(function, tasks, deadline=deadline):
            if self.done == self.dies_at:
                raise Crash
            self.done += 1
            yield ended


def board(lab, batch_id):
    """Labels and votes of valid and test, read from the store as anybody could."""
    with reading(lab.engine) as connection:
        models = candidates.models(connection, "C001")
        split = results.read_split(connection, models[0].split_id)
    labels = arrays.load(lab.folder / "store" / split.uri, "y_valid", "y_test")
    votes = [
        [decide(told, m.threshold) for told in scores]
        for m, scores in (
            (m, arrays.load(lab.folder / "store" / m.scores_uri, "valid", "test")) for m in models
        )
    ]
    return [
        (y == 1, np.array(part)) for y, part in zip(labels, zip(*votes, strict=True), strict=True)
    ]


def ranked(lab, batch_id, split="valid"):
    """ensemble_no, counts and metrics of a batch, best first."""
    table = dc_batch_result_t4
    query = (
        select(table)
        .where(table.c.batch_id == batch_id, table.c.split == split)
        .order_by(table.c.rank_no)
    )
    with reading(lab.engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def report(lab, batch_id):
    return [lab.rows(table, batch_id) for table in REPORT]


def test_a_thousand_ensembles_of_a_batch_recount_exactly_from_their_members(listed):
    batch_id = listed.ensemble(SMALL | {"keep": "all", "seed": 7})
    valid, test = board(listed, batch_id)
    rule = Rule.majority(7, 5)
    rows = {
        split: {r["ensemble_no"]: r for r in ranked(listed, batch_id, split)}
        for split in ("valid", "test")
    }
    assert len(rows["valid"]) == len(rows["test"]) == 3000

    for number in np.random.default_rng(0).choice(3000, 1000, replace=False) + 1:
        members = members_of(7, int(number), 5, 7, MODELS)
        for split, (labels, votes) in (("valid", valid), ("test", test)):
            counts = confusion(reference.decide(votes, members, rule), labels)
            row = rows[split][number]
            assert [row[name] for name in COUNTS] == counts.tolist()
            for name in VOTE_METRICS:
                value = float(metric(name, counts))
                assert row[name] == (None if np.isnan(value) else value)


def test_ranks_follow_the_metric_on_valid_and_then_the_number(listed):
    everything = listed.ensemble(SMALL | {"keep": "all", "metric": "mcc"})
    best = listed.ensemble(SMALL | {"keep": 50, "metric": "mcc"})

    rows = ranked(listed, everything)
    expected = sorted(rows, key=lambda row: (-row["mcc"], row["ensemble_no"]))
    assert [row["rank_no"] for row in expected] == list(range(1, 3001))
    ranks = {row["ensemble_no"]: row["rank_no"] for row in rows}
    assert {r["ensemble_no"]: r["rank_no"] for r in ranked(listed, everything, "test")} == ranks
    for split in ("valid", "test"):
        whole = ranked(listed, everything, split)[:50]
        assert [r | {"batch_id": 0} for r in ranked(listed, best, split)] == [
            r | {"batch_id": 0} for r in whole
        ]


def test_details_name_the_members_of_the_best_by_round(listed):
    batch_id = listed.ensemble(SMALL | {"detail": 3, "seed": 5})
    names = [(row[1], row[2], row[3]) for row in listed.rows(dc_ensemble_model, batch_id)]
    details = listed.rows(dc_batch_detail_t4, batch_id)
    best = [row["ensemble_no"] for row in ranked(listed, batch_id)[:3]]

    assert sorted({row[0] for row in details}) == sorted(best)
    for number, round_no, members in details:
        drawn = members_of(5, number, 5, 7, MODELS)[round_no - 1]
        assert [tuple(name) for name in json.loads(members)] == [names[i] for i in drawn]


def test_the_same_batch_twice_leaves_identical_rows(listed):
    batch_id = listed.ensemble(SMALL)
    first = report(listed, batch_id)
    listed.again(batch_id)
    listed.execute(batch_id)

    assert report(listed, batch_id) == first
    other = listed.ensemble(SMALL)
    assert report(listed, other) == first


@pytest.mark.parametrize("keep", [20, "all"])
def test_workers_and_ranges_change_nothing(listed, keep, monkeypatch):
    reports = []
    for workers, shortest, tasks in ((1, 10_000, 1), (2, 100, 16), (1, 700, 5)):
        monkeypatch.setattr(searching, "_SHORTEST", shortest)
        asked = SMALL | {"keep": keep}
        batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=asked)
        executor = Counting(workers=workers)
        listed.execute(batch_id, executor)
        assert executor.done == tasks
        reports.append(report(listed, batch_id))

    assert reports[0] == reports[1] == reports[2]


@pytest.fixture
def short_ranges(monkeypatch):
    """SMALL is cut into eight."""
    monkeypatch.setattr(searching, "_SHORTEST", 1)


def test_a_batch_that_died_goes_on_where_it_stopped(listed, short_ranges):
    asked = SMALL | {"keep": 20}
    whole = listed.ensemble(asked)
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=asked)
    with pytest.raises(Crash):
        listed.execute(batch_id, Counting(dies_at=3))
    assert len(listed.rows(dc_ensemble_range, batch_id)) == 3
    assert not any(report(listed, batch_id))
    listed.again(batch_id)
    listed.reports.clear()
    executor = Counting()
    listed.execute(batch_id, executor)

    assert executor.done == 5
    counted = [note for _, note in listed.reports if " of 3,000 ensembles" in note]
    assert counted[0] == "1,125 of 3,000 ensembles"
    assert report(listed, batch_id) == report(listed, whole)
    assert not listed.rows(dc_ensemble_range, batch_id)
    assert not ranges_left(listed, batch_id)


def ranges_left(lab, batch_id):
    return [uri for uri in lab.store.walk(f"ensembles/E{batch_id}") if not uri.endswith(".png")]


def test_nothing_is_deleted_from_a_store_without_our_mark(listed):
    (mark,) = listed.store.walk("database")
    listed.store.delete(mark)

    batch_id = listed.ensemble(SMALL)

    assert ranges_left(listed, batch_id)


def test_ranges_of_another_search_are_not_used(listed, short_ranges):
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=SMALL)
    with pytest.raises(Crash):
        listed.execute(batch_id, Counting(dies_at=2))
    changed = SMALL | {"seed": 1}
    listed(
        lambda c: c.execute(
            update(dc_batch)
            .where(dc_batch.c.batch_id == batch_id)
            .values(batch_param=json.dumps(changed))
        )
    )
    listed.again(batch_id)
    executor = Counting()
    listed.execute(batch_id, executor)

    assert executor.done == 8
    assert report(listed, batch_id) == report(listed, listed.ensemble(changed))


def test_a_range_whose_file_was_damaged_is_tried_again(listed, short_ranges):
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=SMALL)
    with pytest.raises(Crash):
        listed.execute(batch_id, Counting(dies_at=2))
    shutil.rmtree(listed.settings.cache_dir)
    uri = listed.rows(dc_ensemble_range, batch_id)[0][4]
    (listed.folder / "store" / uri).write_bytes(b"damage")
    listed.again(batch_id)
    executor = Counting()
    listed.execute(batch_id, executor)

    assert executor.done == 7


def test_a_range_that_came_to_an_unfit_host_is_tried_again(listed, short_ranges):
    class OneUnfit(Counting):
        def run(self, function, tasks, *, need=None, deadline=None):
            for done in super().run(function, tasks, deadline=deadline):
                yield replace(done, value=None, error=HostUnfit()) if self.done == 2 else done

    executor = OneUnfit()
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=SMALL)
    listed.execute(batch_id, executor)

    assert executor.done == 9
    assert report(listed, batch_id) == report(listed, listed.ensemble(SMALL))


def test_a_run_that_lost_its_batch_publishes_nothing(listed):
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=SMALL)

    class Robbed(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            yield from super().run(function, tasks, deadline=deadline)
            listed.again(batch_id)
            listed.take(batch_id=batch_id)

    with pytest.raises(LeaseLost):
        listed.execute(batch_id, Robbed())
    assert not any(report(listed, batch_id))


def test_others_write_while_a_report_of_many_rows_is_written(listed, monkeypatch):
    """Each piece is committed before the next is computed, and no lock is held meanwhile."""
    made, there = ranking._table, []

    def after_another_wrote(*columns):
        database = listed.engine.url.database
        with closing(sqlite3.connect(database, timeout=0)) as other, other:
            other.execute("UPDATE dc_batch SET batch_memo = 'seen'")
            there.extend(other.execute("SELECT COUNT(*) FROM dc_batch_result_t4").fetchone())
        return made(*columns)

    monkeypatch.setattr(ranking, "CHUNK", 1000)
    monkeypatch.setattr(ranking, "_table", after_another_wrote)
    batch_id = listed.ensemble(SMALL | {"keep": "all"})
    assert there == [0, 2000, 4000]

    listed.again(batch_id)
    monkeypatch.setattr(ensembles, "REPORT_ROWS", 100)
    first = report(listed, batch_id)
    listed.execute(batch_id)
    assert there[3:] == there[:3]
    assert report(listed, batch_id) == first


def test_histograms_count_every_ensemble_once_for_each_metric_and_part(listed):
    batch_id = listed.ensemble(SMALL | {"keep": "all"})
    bins = listed.rows(dc_batch_histogram, batch_id)
    totals: dict[tuple[str, str], int] = {}
    for name, split, _, _, _, n in bins:
        totals[name, split] = totals.get((name, split), 0) + n
    assert len(totals) == 14
    assert set(totals.values()) == {3000}

    values = [row["f1_score"] for row in ranked(listed, batch_id)]
    for name, split, _, low, high, n in bins:
        if (name, split) == ("f1_score", "valid"):
            assert n == sum(low <= value < high for value in values)


def test_every_method_is_reported_on_both_parts_with_an_interval_on_test(listed):
    batch_id = listed.ensemble(SMALL | {"method": "greedy"})
    with reading(listed.engine) as connection:
        methods = ensembles.methods(connection, batch_id)
    found = {(each.method, each.split): each for each in methods}

    names = {"vote", "all", "mean", "greedy", "weighted", "stack", "single", "tuned"}
    assert set(found) == {(name, split) for name in names for split in ("valid", "test")}
    assert {each.method for each in methods if each.chosen} == {"greedy"}
    for each in methods:
        assert each.metrics["auc"] is not None
        assert sum(each.metrics[name] for name in COUNTS) == each.n_rows
        if each.split == "test":
            assert each.low <= each.metrics["f1_score"] <= each.high
            assert each.gain_low <= each.gain <= each.gain_high
        else:
            assert each.low is None
            learned = json.loads(each.parameters)
            assert learned["versions"]["scikit-learn"] == version("scikit-learn")
            asked = learned["batch_param"]
            assert (asked["method"], asked["members"]) == ("greedy", SMALL["members"])
            assert (asked["metric"], asked["randomState"]) == ("f1_score", 42)
    best = ranked(listed, batch_id)[0]
    for split in ("valid", "test"):
        vote, row = found["vote", split].metrics, ranked(listed, batch_id, split)[0]
        assert row["ensemble_no"] == best["ensemble_no"]
        assert [vote[n] for n in ("tn", "fp", "fn", "tp")] == [
            row[n] for n in ("tn", "fp", "fn", "tp")
        ]
    assert (
        found["single", "valid"].metrics["f1_score"] <= found["tuned", "valid"].metrics["f1_score"]
    )


def test_the_views_show_valid_and_test_side_by_side(listed):
    batch_id = listed.ensemble(SMALL | {"keep": 3})
    with reading(listed.engine) as connection:
        methods = connection.execute(text("SELECT * FROM v_method")).mappings().all()
        best = (
            connection.execute(text("SELECT * FROM v_ensemble ORDER BY rank_no")).mappings().all()
        )
    chosen = [row for row in methods if row["chosen"]]

    assert {row["batch_id"] for row in (*methods, *best)} == {batch_id}
    assert (len(methods), len(best), len(chosen)) == (8, 3, 1)
    assert chosen[0]["method"] == "vote"
    assert chosen[0]["valid_f1_score"] == best[0]["valid_f1_score"]
    assert chosen[0]["test_f1_score"] == best[0]["test_f1_score"]
    assert chosen[0]["test_low"] <= chosen[0]["test_f1_score"] <= chosen[0]["test_high"]


def test_rows_of_one_class_in_test_leave_undefined_metrics_null(listed, drawn):
    with reading(listed.engine) as connection:
        split = connection.execute(select(dc_split)).one()
    (y_valid,) = arrays.load(listed.folder / "store" / split.uri, "y_valid")
    file = listed.folder / "arrays"
    arrays.save(file, {"y_valid": y_valid, "y_test": np.zeros(280, np.int8)})
    stored = listed.store.put(split.uri, file)
    listed(lambda c: c.execute(update(dc_split).values(sha256=stored.sha256)))
    batch_id = listed.ensemble(SMALL | {"metric": "recall_score"})

    with reading(listed.engine) as connection:
        on_test = [m for m in ensembles.methods(connection, batch_id) if m.split == "test"]
    assert all(m.metrics["recall_score"] is None and m.metrics["auc"] is None for m in on_test)
    assert all(m.low is None and m.gain is None for m in on_test)
    assert all(row["recall_score"] is None for row in ranked(listed, batch_id, "test"))


def test_pictures_are_in_the_store_under_the_hash_that_the_database_names(listed, drawn):
    batch_id = listed.ensemble(SMALL)
    named = listed.rows(dc_batch_picture, batch_id)
    listed.again(batch_id)
    listed.execute(batch_id)
    assert listed.rows(dc_batch_picture, batch_id) == named
    with reading(listed.engine) as connection:
        found = ensembles.pictures(connection, batch_id)

    assert [p.name for p in found] == ["distribution", "membership", "precision_recall", "roc"]
    for picture in found:
        target = listed.folder / picture.name
        listed.store.get(picture.uri, picture.sha256, target)
        assert target.read_bytes().startswith(b"\x89PNG")


def test_the_statement_of_the_legacy_system_works_unchanged(lab):
    batch_id = lab.make_up(31)
    lab.list_models("C001", [(batch_id, number, 1) for number in range(1, 32)])
    statement = insert(dc_batch).values(
        batch_desc="ensemble credit scoring", candidate_id="C001", mode="ensemble", state="I"
    )
    number = lab(lambda connection: connection.execute(statement).inserted_primary_key[0])
    summary = lab.execute(number)

    assert summary.startswith("1,000,000 ensembles of 31 models; vote: f1_score 0.")
    assert len(ranked(lab, number)) == 1000
    assert len(lab.rows(dc_batch_detail_t4, number)) == 10 * 20
    shares = [share for share, _ in lab.reports]
    assert shares == sorted(shares)
    assert max(shares) <= 1
    for share, note in lab.reports:
        if counted := re.match(r"(\S+) of 1,000,000 ensembles", note):
            assert share == min(int(counted[1].replace(",", "")) / 1_000_000, 0.99)


def test_what_is_tried_within_the_time_limit_is_kept(listed):
    batch_id = listed.add(
        mode="ensemble",
        candidate_id="C001",
        parameters=SMALL | {"ensembles": 10**12, "timeLimit": 1.5},
    )

    class Late(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            assert deadline is not None
            yield from super().run(function, [tasks[0], tasks[2]])
            time.sleep(max(0.0, deadline - time.monotonic()))

    summary = listed.execute(batch_id, Late())
    assert summary.startswith("200,000 ensembles of 24 models (1,000,000,000,000 were asked for")
    with reading(listed.engine) as connection:
        assert len(members_in(connection, batch_id, 300_000)) == SMALL["rounds"]
        with pytest.raises(BadParameter, match=r"1 to 100000, 200001 to 300000, not 100001$"):
            members_in(connection, batch_id, 100_001)

    def swap(connection):
        mean = "SELECT parameters FROM dc_batch_method WHERE method = 'mean' AND split = 'valid'"
        changed = {"text": connection.execute(text(mean)).scalar_one()}
        update = "UPDATE dc_batch_method SET parameters = :text WHERE method = 'vote'"
        connection.execute(text(update), changed)

    transaction(listed.engine, swap)
    with (
        reading(listed.engine) as connection,
        pytest.raises(BadData, match=rf"^batch {batch_id}: .* of vote .*run the batch again$"),
    ):
        members_in(connection, batch_id, 1)


def test_a_search_goes_on_until_its_deadline_however_many_ranges_that_takes(listed, monkeypatch):
    monkeypatch.setattr(searching, "_MOST_RANGES", 2)
    monkeypatch.setattr(searching, "_LONGEST_TIMED", 10_000)
    parameters = SMALL | {"ensembles": 50_000, "timeLimit": 600}
    batch_id = listed.add(mode="ensemble", candidate_id="C001", parameters=parameters)
    assert listed.execute(batch_id).startswith("50,000 ensembles of 24 models; ")


REFUSED = [
    ({"keep": "all", "ensembles": 10**7 + 1}, BadParameter, 'keep: "all" is for at most 10000000'),
    ({"members": 25}, BadParameter, "members is 25; with 24 candidate models it can be 1 to 24"),
    ({"roundVotes": 8}, BadParameter, "roundVotes is 8"),
    ({"finalVotes": 6}, BadParameter, "finalVotes is 6"),
    ({"roundVotes": 0}, BadParameter, "roundVotes"),
    ({"metric": "auc"}, BadParameter, "metric"),
    ({"keep": 0}, BadParameter, "keep"),
    ({"keep": "most"}, BadParameter, "keep"),
    ({"method": "best"}, BadParameter, "method"),
    ({"ensemble": 5}, BadParameter, "did you mean ensembles"),
    ({"seed": -1}, BadParameter, "seed"),
    (
        {"rounds": 57_143},
        BadParameter,
        "members times rounds is 400001; .* 7, rounds at most 57142",
    ),
    ({"members": 400_001, "rounds": 1}, BadParameter, "members = 400001 is not allowed"),
    ({"rounds": 50_000, "detail": 12}, BadParameter, "rounds 50000 it can be at most 11; it is 12"),
]


@pytest.mark.parametrize(("changed", "error", "said"), REFUSED, ids=[str(r[0]) for r in REFUSED])
def test_parameters_that_cannot_be_are_refused(listed, changed, error, said):
    with pytest.raises(error, match=said) as caught:
        listed.ensemble(SMALL | changed)
    assert retry_of(caught.value) is Retry.NEVER


def test_the_largest_answer_fits_into_a_statement_of_mariadb():
    longest = (2**32, 2**31 - 1, 2**31 - 1)
    answer = Rounds(
        seed=2**64 - 1,
        tried=((1, 10**12),),
        ensemble_no=10**12,
        round_votes=1,
        final_votes=1,
        rounds=((longest,),) * MOST_VOTERS,
    )
    assert len(to_json(answer)) < 2**24


def test_numbers_may_come_as_strings(listed):
    asked = {"ensembles": "3000", "members": "7", "rounds": "5", "keep": "5", "detail": "1"}
    assert len(ranked(listed, listed.ensemble(asked))) == 5


def test_an_unknown_or_empty_list_is_an_error_that_names_those_there_are(listed):
    with pytest.raises(NotFound, match=r"C002.*there are: C001 \(24 models\)"):
        listed.ensemble(SMALL, candidate_id="C002")
    with pytest.raises(NotFound, match=r"needs candidate_id; there are: C001 \(24 models\)"):
        listed.ensemble(SMALL, candidate_id=None)


def test_models_of_two_splits_cannot_be_mixed(listed):
    other = listed.make_up(2, seed=1)
    listed.list_models("C001", [(other, 1, 1)])
    with pytest.raises(BadData, match=rf"mixes models of 2 splits.*batch {other}, model 1/1") as e:
        listed.ensemble(SMALL)
    assert "and 16 more" in str(e.value)


def test_models_of_two_targets_cannot_be_mixed(listed):
    other = listed.make_up(2, target="currency = KRW")
    listed.list_models("C001", [(other, 1, 1)])
    with pytest.raises(
        BadData, match=r"different targets; .*target default = 1: .*target currency = KRW: "
    ):
        listed.ensemble(SMALL)


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        (300, "2 splits, those of an unknown target trained before an upgrade; train their "),
        (200, "2 splits, so that one model's test rows would be another's training rows; "),
    ],
)
def test_an_unknown_target_is_not_called_another(listed, valid, said):
    other = listed.make_up(2, valid=valid, target=None)
    listed.list_models("C001", [(other, 1, 1)])
    with pytest.raises(BadData, match=rf"{said}.*target unknown: batch {other}, model 1/1"):
        listed.ensemble(SMALL)


def test_a_listed_model_that_was_never_trained_is_named(listed):
    listed.list_models("C001", [(1, 99, 1)])
    with pytest.raises(NotFound, match=r"1 of 25 models not in dc_model.*batch 1, model 99/1"):
        listed.ensemble(SMALL)


def test_a_train_batch_that_was_set_to_run_again_since_the_claim_is_not_drawn_from(listed):
    listed(lambda c: c.execute(update(dc_batch).where(dc_batch.c.batch_id == 1).values(state="U")))
    with pytest.raises(ParentNotReady, match="batch 1, which is not complete yet"):
        listed(lambda connection: trained(connection, "C001"))


def test_another_data_set_than_the_candidates_is_refused(listed):
    listed.load_applicants("DATA009")
    with pytest.raises(BadData, match="DATA009/1, but its candidates were trained on DATA001/1"):
        listed.ensemble(SMALL, dataset_group="DATA009", dataset_version=1)
    listed.ensemble(SMALL, dataset_group="DATA001", dataset_version=1)


def test_one_class_in_valid_is_refused(listed):
    with reading(listed.engine) as connection:
        uri = connection.scalar(select(dc_split.c.uri))
    named = {
        "y_valid": np.ones(300, np.int8),
        "y_test": np.resize([0, 1], 280).astype(np.int8),
    }
    file = listed.folder / "arrays"
    arrays.save(file, named)
    stored = listed.store.put(uri, file)
    listed(lambda c: c.execute(update(dc_split).values(sha256=stored.sha256)))
    with pytest.raises(BadData, match="all 300 rows of valid are of one class"):
        listed.ensemble(SMALL)


def test_keep_all_is_loaded_in_bulk_on_mariadb(mariadb_settings, tmp_path):
    lab = Lab(mariadb_settings, tmp_path)
    batch_id = lab.make_up(MODELS)
    lab.list_models("C001", [(batch_id, number, 1) for number in range(1, MODELS + 1)])
    asked = SMALL | {"ensembles": 21_000, "keep": "all"}
    first = lab.ensemble(asked)
    rows = ranked(lab, first)
    assert [row["rank_no"] for row in rows] == list(range(1, 21_001))

    lab.again(first)
    lab.execute(first)
    assert ranked(lab, first) == rows
