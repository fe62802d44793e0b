"""What operators can do and see: commands' levers, counts, servers, queues, views, rights."""

from datetime import datetime
from itertools import product
from subprocess import CalledProcessError
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text

from configs.errors import DatabaseRefused, NotFound, Retry, WrongState
from pipeline.progress import Tally
from storage import batches, candidates, claims, queues, servers, sweeping, taking
from storage.claimable import is_open
from storage.engine import make_engine, reading
from storage.grants import ROLES, grants, how_to_give
from storage.kept import kept
from storage.metadata import METRICS, VOTE_METRICS
from storage.obstacles import FLEET, HERE
from storage.records import Offer
from storage.schema import (
    dc_batch,
    dc_batch_result,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_ensemble_model,
    dc_model,
)
from tests.bank import ROOT
from tests.blocks import blocks
from tests.calls import Calls
from tests.conftest import SettingsFactory
from tests.mariadb import MariaDB

FAR = datetime(2999, 1, 1)  # noqa: DTZ001 - UTC, as the column


@pytest.fixture
def calls(engine: Engine) -> Calls:
    return Calls(engine)


def finished(calls: Calls, **columns: Any) -> int:
    number = calls.add(**columns)
    calls.finish(calls.take(batch_id=number))
    return number


def failed(calls: Calls, retry: Retry = Retry.NEVER, **columns: Any) -> int:
    number = calls.add(**columns)
    calls.fail(calls.take(batch_id=number), retry)
    return number


# Levers.


def test_a_batch_is_added_with_every_default(calls: Calls) -> None:
    number = calls.add(mode="train")

    batch = calls.read(number)
    assert (batch.state, batch.queue, batch.priority, batch.max_attempts) == (
        "I",
        "default",
        100,
        3,
    )
    assert (batch.attempt, batch.fence, batch.claim_id) == (0, 0, None)


def test_a_second_batch_of_a_dedupe_key_is_refused_while_the_first_is_active(calls: Calls) -> None:
    first = calls.add(dedupe_key="d")
    with pytest.raises(WrongState, match="dedupe_key"):
        calls.add(dedupe_key="d")
    calls.finish(calls.take())
    calls.add(dedupe_key="d")
    with pytest.raises(WrongState, match="dedupe_key"):
        calls(batches.rerun, first)


def test_what_has_ended_in_python_is_not_open_in_sql(calls: Calls) -> None:
    for state, run_after, attempt in product("IUCE", (None, FAR), (1, 3)):
        calls.add(state=state, run_after=run_after, attempt=attempt, max_attempts=3)

    def numbers(*conditions: Any) -> set[int]:
        query = select(dc_batch.c.batch_id).where(*conditions)
        return calls(lambda connection: set(connection.scalars(query)))

    assert {each for each in numbers() if not calls.read(each).ended} == numbers(is_open)


def test_cancel_ends_what_waits_and_asks_what_runs(calls: Calls) -> None:
    waiting, retried = calls.add(run_after=FAR), failed(calls, Retry.LATER)
    running, done, dead = calls.add(), finished(calls), failed(calls)
    claim = calls.take(batch_id=running)

    answers = [calls(batches.cancel, n) for n in (waiting, retried, running, done, dead)]

    assert answers == [True, True, True, False, False]
    assert calls.states() == "EEUCE"
    assert calls.beat(claim).cancel_requested
    for number in (waiting, retried):  # of which one has run, and failed
        assert calls.read(number).failure == (
            f"batch {number} failed: Cancelled: cancelled while it waited"
        )
    assert calls.read(dead).error_class == "Boom"
    with pytest.raises(NotFound, match="99"):
        calls(batches.cancel, 99)


def test_a_cancelled_batch_says_what_was_done_and_no_estimate(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take(batch_id=number)
    clock = iter((0.0, 5.0))

    def report(share: float, note: str) -> None:
        calls.beat(claim, progress=share, note=note)

    done = Tally(total=8, before=2, unit="models", report=report, clock=lambda: next(clock))
    done.advance("ML-RF")
    assert calls.read(number).progress_note == "3 of 8 models, about 25 s left, last ML-RF"

    calls(batches.cancel, number)
    calls.fail(claim, Retry.NEVER)

    assert calls.read(number).state == "E"
    assert calls.read(number).progress_note == "3 of 8 models"


def test_a_batch_cancelled_while_it_waits_for_a_retry_has_no_estimate(calls: Calls) -> None:
    number = failed(calls, Retry.LATER)
    calls.sql("UPDATE dc_batch SET progress_note = '3 of 8 models, about 25 s left, last A'")

    calls(batches.cancel, number)

    assert calls.read(number).progress_note == "3 of 8 models"


def test_retry_starts_what_failed_from_the_first_attempt(calls: Calls) -> None:
    number = failed(calls, max_attempts=1)

    calls(batches.retry, number)

    batch = calls.read(number)
    assert (batch.state, batch.attempt, batch.error_class, batch.run_after) == ("I", 0, None, None)
    assert calls.take().fence == 2
    assert len(calls.attempts(number)) == 2


def test_retry_also_ends_the_wait_of_what_waits(calls: Calls) -> None:
    calls(batches.retry, calls.add(run_after=FAR))
    calls(batches.retry, failed(calls, Retry.LATER))

    assert calls.claim() is not None
    assert calls.claim() is not None


def test_retry_leaves_what_runs_or_is_completed(calls: Calls) -> None:
    done, running = finished(calls), calls.add()
    calls.take()

    with pytest.raises(WrongState, match="is completed"):
        calls(batches.retry, done)
    with pytest.raises(WrongState, match="runs"):
        calls(batches.retry, running)
    with pytest.raises(NotFound, match="99"):
        calls(batches.retry, 99)


def test_rerun_takes_a_batch_from_its_runner(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    calls(batches.rerun, number)

    assert not calls.beat(claim).owned
    again = calls.take()
    assert (again.batch_id, again.fence, again.attempt) == (number, 2, 1)


def test_priority_is_changed(calls: Calls) -> None:
    calls.add()
    second = calls.add()
    calls(batches.set_priority, second, 1)
    calls(batches.set_priority, second, 1)

    assert calls.take().batch_id == second
    with pytest.raises(NotFound):
        calls(batches.set_priority, 99, 1)


def add_model(calls: Calls, batch_id: int, model_no: int = 1) -> None:
    text_columns = (
        "model_id params uri format sha256 scores_uri scores_sha256 split_id preprocessor_uri "
        "preprocessor_sha256 fingerprint"
    )
    row = dict.fromkeys(text_columns.split(), "x")
    with calls.engine.begin() as connection:
        connection.execute(
            insert(dc_model).values(
                batch_id=batch_id,
                model_no=model_no,
                model_sub_no=1,
                fence=1,
                threshold=0.5,
                bytes=1,
                seconds=2.5,
                **row,
            )
        )
        for number, split in enumerate(("valid", "test")):
            connection.execute(
                insert(dc_batch_result).values(
                    batch_id=batch_id,
                    model_no=model_no,
                    model_sub_no=1,
                    split=split,
                    fence=1,
                    state="C",
                    n_rows=10 + number,
                    **{name: (i + number) / 100 for i, name in enumerate(METRICS)},
                )
            )


def test_delete_takes_all_that_a_batch_left(calls: Calls) -> None:
    number, other = finished(calls), finished(calls)
    add_model(calls, number)
    add_model(calls, other)

    calls(batches.delete, number)

    for table in ("dc_batch", "dc_batch_attempt", "dc_model"):
        assert calls.value(f"SELECT MIN(batch_id) FROM {table}") == other
    assert calls.value("SELECT COUNT(*) FROM dc_batch_result") == 2
    with pytest.raises(NotFound):
        calls(batches.delete, number)


def test_delete_leaves_what_is_needed(calls: Calls) -> None:
    listed, parent, member = finished(calls), finished(calls), finished(calls)
    child, ensemble = finished(calls, mode="predict", train_batch_id=parent), calls.add(mode=None)
    key = {"batch_id": listed, "model_no": 1, "model_sub_no": 1}
    with calls.engine.begin() as connection:
        for candidate_id in ("C002", "C001"):
            connection.execute(
                insert(dc_candidate_model_list).values(candidate_id=candidate_id, **key)
            )
        for position in range(2):
            connection.execute(
                insert(dc_ensemble_model).values(
                    batch_id=ensemble,
                    position=position,
                    model_batch_id=member,
                    model_no=1,
                    model_sub_no=position,
                    model_id="x",
                    threshold=0.5,
                    sha256="x",
                )
            )

    with pytest.raises(WrongState, match="by candidate list C001, candidate list C002; delete"):
        calls(batches.delete, listed)
    with pytest.raises(WrongState, match=f"by predict batch {child}; delete"):
        calls(batches.delete, parent)
    with pytest.raises(WrongState, match=f"by batch {ensemble}; delete"):
        calls(batches.delete, member)

    assert calls(batches.delete, parent, force=True) == [f"predict batch {child}"]
    assert calls(batches.delete, ensemble) == []
    assert calls(batches.delete, member) == []
    calls.sql("UPDATE dc_batch SET train_batch_id = batch_id")
    assert calls(batches.delete, child) == []  # its own name keeps none


def test_deleting_a_running_batch_takes_it_from_its_runner(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    calls(batches.delete, number)

    assert not calls.finish(claim)
    assert calls.value("SELECT COUNT(*) FROM dc_batch_attempt") == 0


# What is left to do.


def test_what_could_be_run_now_is_told_from_what_could_not(calls: Calls) -> None:
    def ready(**offer: Any) -> int:
        told = calls(kept, HERE, Offer(server="", **offer))
        return sum(each.n for each in told if each.reason is None)

    calls.add(concurrency_key="k")
    calls.take()  # running
    calls.add(concurrency_key="k")  # blocked
    calls.add(train_batch_id=1)  # blocked
    calls.add()  # ready
    failed(calls, Retry.AT_ONCE)  # ready
    failed(calls, Retry.LATER)  # later
    calls.add(run_after=FAR)  # later
    calls.add(need_tag="gpu")  # later
    failed(calls, Retry.NEVER)
    finished(calls)
    calls.add(queue="night")

    assert ready() == 2
    assert ready(tags=("gpu",)) == 3
    assert ready(queues=("night",)) == 1


def test_nothing_is_left_when_all_that_waits_waits_for_later(calls: Calls) -> None:
    parent = failed(calls, Retry.LATER)
    calls.add(train_batch_id=parent)
    calls.add(run_after=FAR)
    assert not calls(taking.pending, Offer(server=""))

    number = calls.add()
    assert calls(taking.pending, Offer(server=""))
    claim = calls.take()
    assert calls(taking.pending, Offer(server=""))
    calls.finish(claim)
    assert not calls(taking.pending, Offer(server=""))

    calls(queues.pause, "default")
    calls(batches.rerun, number)
    assert not calls(taking.pending, Offer(server=""))


def test_what_is_left_waiting_is_told_by_reason_with_the_first_of_each(calls: Calls) -> None:
    other = calls.add(queue="밤")
    free = calls.add()  # could run
    parent = failed(calls, Retry.LATER)
    far = calls.add(run_after=FAR)
    child = calls.add(train_batch_id=parent)
    tagged = calls.add(need_tag="gpu")
    calls.add(queue="밤", need_tag="gpu")
    calls.add(need_tag="gpu", cancel_requested_at=FAR)

    told = calls(kept, HERE, Offer(server="A"))

    assert [(each.reason, each.queue, each.need_tag, each.n, each.batch_id) for each in told] == [
        ("queue unserved here", "밤", None, 2, other),
        (None, None, None, 1, free),
        ("time", None, None, 2, parent),
        ("other batch", None, None, 1, child),
        ("no tag here", None, "gpu", 1, tagged),
    ]
    (at,) = [each.run_after for each in told if each.run_after is not None]
    assert at < calls(batches.read, far).run_after


# Servers.


def test_a_server_is_registered_seen_and_removed(calls: Calls) -> None:
    calls.register("S1", identity="a", tags=["gpu", "큰"], gpus=1)
    (server,) = calls(servers.listing)
    assert (server.serve_server_id, server.slots, server.gpus, server.paused) == ("S1", 2, 1, 0)
    assert server.tags == ("gpu", "큰")
    assert (server.memory_mb, server.takes_none) == (None, None)

    calls.sql("UPDATE dc_server SET last_seen = '2020-01-01 00:00:00'")
    assert calls(servers.renew, "S1", "a", memory_mb=900, takes_none="it is stopping") == "a"
    (server,) = calls(servers.listing)
    assert (server.memory_mb, server.takes_none) == (900, "it is stopping")
    assert server.last_seen is not None
    assert server.last_seen.year > 2020

    calls(servers.remove, "S1", "a")
    assert calls(servers.listing) == []


def test_a_server_that_started_since_is_not_removed_by_the_old_one(calls: Calls) -> None:
    for identity in ("old", "new"):
        calls.register("S1", identity=identity)

    calls.sql("UPDATE dc_server SET last_seen = '2020-01-01 00:00:00'")
    assert calls(servers.renew, "S1", "old", takes_none="it is stopping") == "new"
    calls(servers.remove, "S1", "old")

    (server,) = calls(servers.listing)
    assert (server.identity, server.takes_none) == ("new", None)
    assert server.last_seen is not None
    assert server.last_seen.year == 2020


def test_a_pause_outlives_restarts_and_may_come_before_the_start(calls: Calls) -> None:
    calls(servers.pause, "S1")
    calls.register("S1", identity="a")
    calls(servers.renew, "S1", "a", takes_none="it is stopping")
    calls(servers.remove, "S1", "a")
    assert calls(servers.listing)[0].takes_none is None
    calls.register("S1", identity="b")

    (server,) = calls(servers.listing)
    assert (server.paused, server.identity) == (1, "b")
    calls(servers.resume, "S1")
    calls(servers.resume, "S1")
    assert calls(servers.listing)[0].paused == 0


def test_what_waiting_batches_ask_of_launchers_is_told_by_the_first_of_them(calls: Calls) -> None:
    plain, tagged = calls.add(), calls.add(queue="q", need_tag="gpu")
    for columns in ({}, {"queue": "q", "need_tag": "gpu"}, {"queue": "ended", "state": "E"}):
        calls.add(**columns)
    calls.add(queue="stopping", cancel_requested_at=FAR)

    told = [(each.batch_id, each.queue, each.need_tag, each.n) for each in calls(kept, FLEET)]

    assert told == [(plain, "default", None, 2), (tagged, "q", "gpu", 2)]


# Views.


def view(calls: Calls, name: str) -> list[dict[str, Any]]:
    with reading(calls.engine) as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()]


def test_v_batch_says_how_a_batch_stands_and_what_it_waits_for(calls: Calls) -> None:
    served = ("default", "q", "밤")
    calls.register("S", identity="a", queues=served, tags=["gpu"])
    running = calls.add(concurrency_key="k", dataset_group="데이터", dataset_version=2)
    calls.take(batch_id=running)
    expected = {running: ("running", None)}

    def waits(words: str | None, status: str = "waiting", **columns: Any) -> None:
        expected[calls.add(**columns)] = (status, words)

    waits("a free server")
    waits(f"batch {running}, which is running", train_batch_id=running)
    for train in (running, finished(calls)):
        calls(candidates.add, "C001", [(train, 1, 1)])
        expected.setdefault(train, ("completed", None))
    waits(f"batch {running} of candidate list C001, which is running", candidate_id="C001")
    waits(f"concurrency_key k, which batch {running} holds", concurrency_key="k")
    waits("a free server with tag gpu", need_tag="gpu")
    waits("a free server with 900 MB of memory", need_mem_mb=900)
    waits("a free server that serves queue q", queue="q")
    waits("a free server with tag gpu, that serves queue q", need_tag="gpu", queue="q")
    waits(
        "a free server with tag gpu, with 900 MB of memory, that serves queue q",
        need_tag="gpu",
        need_mem_mb=900,
        queue="q",
    )
    waits("queue 밤, which is paused", queue="밤")
    calls(queues.pause, "밤")
    expected[finished(calls)] = ("completed", None)
    expected[failed(calls)] = ("failed", None)
    expected[failed(calls, Retry.AT_ONCE)] = ("waiting for a retry", "a free server")
    cancelled = calls.add()
    calls(batches.cancel, cancelled)
    expected[cancelled] = ("cancelled", None)
    lost = calls.add()
    calls.take(batch_id=lost, lease=-1)
    expected[lost] = ("running, but not heard of", None)
    stopping = calls.add()
    calls.take(batch_id=stopping)
    calls(batches.cancel, stopping)
    expected[stopping] = ("being cancelled", None)
    waits(None, "being cancelled", cancel_requested_at=FAR)
    retried = {"state": "E", "attempt": 1, "run_after": FAR}
    waits(None, "being cancelled", **retried, cancel_requested_at=FAR)
    waits("its time, 2999-01-01 00:00:00.000000 UTC", "waiting for a retry", **retried)

    rows = {row["batch_id"]: row for row in view(calls, "v_batch")}

    assert {n: (row["status"], row["waits_for"]) for n, row in rows.items()} == expected
    assert rows[running]["dataset"] == "데이터/2"
    assert 0 <= rows[running]["age_seconds"] < 60
    assert 0 <= rows[running]["run_seconds"] < 60
    assert "Boom: it broke" in [row["last_error"] for row in rows.values()]


def test_an_error_is_not_told_of_a_batch_that_an_operator_lets_run_again(calls: Calls) -> None:
    number = failed(calls)
    assert [row["last_error"] for row in view(calls, "v_batch")] == ["Boom: it broke"]

    calls.sql("UPDATE dc_batch SET state = 'I', batch_param = '{}' WHERE batch_id = :n", n=number)

    assert [row["last_error"] for row in view(calls, "v_batch")] == [None]


def test_progress_is_not_told_of_a_batch_that_an_operator_lets_run_again(calls: Calls) -> None:
    number = calls.add()
    calls(claims.finish, calls.take(batch_id=number), note="5 of 5 models trained")
    (row,) = view(calls, "v_batch")
    assert (row["progress"], row["progress_note"]) == (1, "5 of 5 models trained")

    calls.sql("UPDATE dc_batch SET state = 'I' WHERE batch_id = :n", n=number)

    (row,) = view(calls, "v_batch")
    assert (row["status"], row["progress"], row["progress_note"]) == ("waiting", None, None)


def test_v_batch_says_which_launcher_a_batch_lacks(calls: Calls) -> None:
    for columns in ({}, {"queue": "밤"}, {"queue": "밤", "need_tag": "큰"}):
        calls.add(**columns)

    def waits() -> list[str]:
        return [row["waits_for"] for row in view(calls, "v_batch")]

    assert waits() == ["a launcher (none runs)"] * 3

    calls.register("A", identity="a", queues=["밤"])
    assert waits() == [
        "a launcher that serves queue default (none does)",
        "a free server that serves queue 밤",
        "a launcher that serves queue 밤 and has tag 큰 (none does)",
    ]

    calls.register("B", identity="b", queues=["default", "밤"], tags=["gpu", "큰"])
    assert all(each.startswith("a free server") for each in waits())

    calls(servers.pause, "B")
    assert waits() == [
        "a launcher that serves queue default (all are paused)",
        "a free server that serves queue 밤",
        "a launcher that serves queue 밤 and has tag 큰 (all are paused)",
    ]

    calls(servers.remove, "B", "b")
    calls.sql("UPDATE dc_server SET last_seen = '2020-01-01 00:00:00'")
    assert waits() == ["a launcher (none runs)"] * 3


def test_v_batch_says_that_no_launcher_has_the_memory_or_takes_anything(calls: Calls) -> None:
    small, big = {"need_mem_mb": 900}, {"need_mem_mb": 901, "queue": "q", "need_tag": "gpu"}
    for columns in ({}, small, big):
        calls.add(**columns)

    def at_work(name: str, **facts: Any) -> None:
        served = {"queues": ["default", "q"], "tags": ["gpu"]}
        calls.register(name, **served, **facts)

    def waits(words: list[str], reasons: list[str | None], needs: list[int | None]) -> None:
        assert [row["waits_for"] for row in view(calls, "v_batch")] == words
        told = calls(kept, FLEET)
        assert [each.reason for each in told] == reasons
        assert [each.need_mem_mb for each in told] == needs

    plain, sized = "a launcher that serves queue default", " and has 900 MB of memory"
    whole = "a launcher that serves queue q and has tag gpu and has 901 MB of memory"
    free = ["a free server", "a free server with 900 MB of memory"]
    largest = "a free server with tag gpu, with 901 MB of memory, that serves queue q"

    at_work("old")  # it does not tell what it has
    waits([*free, largest], [None], [None])
    calls(servers.remove, "old", "old")

    at_work("A", memory_mb=899)
    at_work("B", memory_mb=900)
    little = f"{whole} (the most is 900 MB)"
    waits([*free, little], [None, "too little memory"], [None, 901])

    calls(servers.pause, "B")
    waits(
        [free[0], f"{plain}{sized} (all are paused)", little],
        [None, "all paused", "too little memory"],
        [None, 900, 901],
    )

    calls(servers.renew, "A", "A", memory_mb=899, takes_none="그 이유")
    waits(
        [
            f"{plain} (none takes batches now; A: 그 이유)",
            f"{plain}{sized} (all are paused)",
            little,
        ],
        ["none taken", "all paused", "too little memory"],
        [None, 900, 901],
    )

    calls(servers.resume, "B")
    calls(servers.renew, "B", "B", memory_mb=901, takes_none="it is stopping")
    waits(
        [
            f"{plain} (none takes batches now; A: 그 이유)",
            f"{plain}{sized} (none takes batches now; B: it is stopping)",
            f"{whole} (none takes batches now; B: it is stopping)",
        ],
        ["none taken"] * 3,
        [None, 900, 901],
    )

    calls(servers.renew, "B", "B", memory_mb=901)
    waits([*free, largest], [None], [None])


def test_v_batch_says_until_when_a_batch_waits(calls: Calls) -> None:
    calls.add(run_after=FAR)

    (row,) = view(calls, "v_batch")
    assert row["waits_for"].startswith("its time, 2999-01-01 00:00:00")


def test_v_leaderboard_has_one_row_a_model_with_valid_and_test_side_by_side(calls: Calls) -> None:
    number = finished(calls, dataset_group="DATA001", dataset_version=1)
    for model_no in (1, 2):
        add_model(calls, number, model_no)

    rows = view(calls, "v_leaderboard")

    assert [(row["batch_id"], row["model_no"]) for row in rows] == [(number, 1), (number, 2)]
    for row in rows:
        assert row["dataset"] == "DATA001/1"
        assert (row["valid_n_rows"], row["test_n_rows"], row["fit_seconds"]) == (10, 11, 2.5)
        for i, name in enumerate(METRICS):
            assert row[f"valid_{name}"] == i / 100
            assert row[f"test_{name}"] == (i + 1) / 100


def test_v_ensemble_ranks_the_best_with_valid_and_test_side_by_side(calls: Calls) -> None:
    number = finished(calls, candidate_id="C001")
    with calls.engine.begin() as connection:
        for ensemble_no, rank in ((5, 2), (8, 1), (9, None)):
            for split, value in (("valid", 0.5), ("test", 0.25)):
                connection.execute(
                    insert(dc_batch_result_t4).values(
                        batch_id=number,
                        ensemble_no=ensemble_no,
                        split=split,
                        rank_no=rank,
                        tn=1,
                        **dict.fromkeys(VOTE_METRICS, value),
                    )
                )

    rows = sorted(view(calls, "v_ensemble"), key=lambda row: row["rank_no"])

    assert [(row["rank_no"], row["ensemble_no"]) for row in rows] == [(1, 8), (2, 5)]
    for row in rows:
        assert row["candidate_id"] == "C001"
        assert (row["valid_f1_score"], row["test_f1_score"], row["valid_tn"]) == (0.5, 0.25, 1)


# Rights.


@pytest.fixture
def as_role(mariadb_engine: Engine, mariadb_server: MariaDB, settings: SettingsFactory) -> Any:
    """The calls of an account that has one role and nothing else."""
    admin = Calls(mariadb_engine)
    database = mariadb_engine.url.database or ""
    for statement in grants(database):
        admin.sql(statement)
    engines = []

    def give(role: str) -> Calls:
        admin.sql("CREATE OR REPLACE USER 'somebody'@'127.0.0.1' IDENTIFIED BY 'pw'")
        for statement in how_to_give(role):
            admin.sql(statement.replace("ACCOUNT", "somebody").replace("HOST", "127.0.0.1"))
        url = mariadb_server.url(database, user="somebody")
        engines.append(make_engine(settings(database_url=url, database_password="pw")))
        return Calls(engines[-1])

    yield give
    for engine in engines:
        engine.dispose()
    admin.sql("DROP USER IF EXISTS 'somebody'@'127.0.0.1'")
    for role in ROLES:
        admin.sql(f"DROP ROLE {role}")


def may(calls: Calls, statement: str) -> bool:
    try:
        calls(lambda connection: connection.execute(text(statement)))
    except DatabaseRefused:
        return False
    return True


def test_each_role_may_do_its_work_and_no_more(as_role: Any, mariadb_engine: Engine) -> None:
    admin = Calls(mariadb_engine)
    admin.sql("CREATE TABLE applicants (age INT)")

    operator = as_role("deepcredit_operator")
    number = operator.add()
    for lever in (batches.cancel, batches.retry, batches.rerun):
        operator(lever, number)
    operator(servers.pause, "S9")
    operator(queues.pause, "night")
    assert not may(operator, "UPDATE dc_batch_result SET auc = 1")
    assert not may(operator, "SELECT * FROM applicants")
    assert not may(operator, "DROP TABLE dc_queue")

    launcher = as_role("deepcredit_launcher")
    launcher.register("S1", identity="a")
    claim = launcher.take()
    launcher.beat(claim)
    launcher(claims.hold, claim)
    add_model(launcher, claim.batch_id)
    launcher.finish(claim)
    launcher(sweeping.sweep)
    launcher(taking.pending, Offer(server="S1"))
    launcher(servers.remove, "S1", "a")
    assert may(launcher, "SELECT * FROM applicants")
    assert not may(launcher, "INSERT INTO dc_batch (mode) VALUES ('train')")
    assert not may(launcher, "DELETE FROM dc_batch")
    assert not may(launcher, "UPDATE dc_dataset SET n_rows = 1")

    reader = as_role("deepcredit_reader")
    for name in ("v_batch", "v_leaderboard", "v_ensemble", "dc_batch"):
        assert may(reader, f"SELECT * FROM {name}")
    assert not may(reader, "SELECT * FROM applicants")
    assert not may(reader, "UPDATE dc_batch SET priority = 1")

    operator = as_role("deepcredit_operator")
    operator(batches.delete, number)


def test_the_guide_gives_a_role_to_an_account(
    mariadb_server: MariaDB, mariadb_engine: Engine
) -> None:
    page = blocks(ROOT / "docs" / "servers.md")
    give = next(block.text for block in page if block.language == "sql")
    database = mariadb_engine.url.database or ""
    mariadb_server.client(";".join(grants(database)))

    mariadb_server.client(give.replace("10.0.0.%", "127.0.0.%"))

    kim = {"user": "kim", "password": "..."}
    try:
        mariadb_server.client("INSERT INTO dc_batch (mode) VALUES ('train')", database, **kim)
        with pytest.raises(CalledProcessError) as refused:
            mariadb_server.client("UPDATE dc_batch_result SET auc = 1", database, **kim)
        assert "UPDATE command denied" in refused.value.stderr
    finally:
        mariadb_server.client("DROP USER 'kim'@'127.0.0.%'")
        mariadb_server.client(";".join(f"DROP ROLE {role}" for role in ROLES))


def test_names_in_grants_are_quoted_and_no_patterns() -> None:
    statements = grants("my_`db%")

    assert all("`my_``db%`.`" in s or s.startswith("CREATE ROLE") for s in statements[:-1])
    assert statements[-1] == "GRANT SELECT ON `my\\_``db\\%`.* TO `deepcredit_launcher`"
