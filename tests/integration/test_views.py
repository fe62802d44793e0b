"""What operators see in the views."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import literal, text

from configs.errors import Retry
from configs.metric_names import METRICS
from configs.score_bands import HIGHEST, LOWEST
from models.bands import bands
from storage import batches, candidates, claims, queues, results, score_bands, servers
from storage.columns import utc_now
from storage.engine import reading
from storage.fleet import FLEET
from storage.kept import kept
from storage.records import Result
from tests.calls import FAR, Calls


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
    for train in (running, calls.finished()):
        calls(candidates.add, "C001", [(train, 1, 1)])
        expected.setdefault(train, ("completed", None))
    waits(f"batch {running} of candidate list C001, which is running", candidate_id="C001")
    waits(f"concurrency_key k, which batch {running} holds", concurrency_key="k")
    waits("a free server with tag gpu", need_tag="gpu")
    waits("a free server with 900 MB of free memory", need_mem_mb=900)
    waits("a free server that serves queue q", queue="q")
    waits("a free server with tag gpu, that serves queue q", need_tag="gpu", queue="q")
    waits(
        "a free server with tag gpu, with 900 MB of free memory, that serves queue q",
        need_tag="gpu",
        need_mem_mb=900,
        queue="q",
    )
    waits("queue 밤, which is paused", queue="밤")
    calls(queues.pause, "밤")
    expected[calls.finished()] = ("completed", None)
    expected[calls.failed()] = ("failed", None)
    expected[calls.failed(Retry.AT_ONCE)] = ("waiting for a retry", "a free server")
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
    for status, columns in (("waiting", {"run_after": FAR}), ("waiting for a retry", retried)):
        days = (FAR - datetime.now(UTC).replace(tzinfo=None)) / timedelta(days=1)
        waits(f"its time, 2999-01-01 00:00 UTC, in {days:.0f} d", status, **columns)

    rows = {row["batch_id"]: row for row in view(calls, "v_batch")}

    assert {n: (row["status"], row["waits_for"]) for n, row in rows.items()} == expected
    assert rows[running]["dataset"] == "데이터/2"
    assert 0 <= rows[running]["age_seconds"] < 60
    assert 0 <= rows[running]["run_seconds"] < 60
    assert "Boom: it broke" in [row["last_error"] for row in rows.values()]


def test_v_batch_says_how_far_off_the_time_of_a_batch_is(calls: Calls) -> None:
    """As where somebody wrote NOW() on a server of another time zone."""
    hour, off = 3600.0, ("within the hour", "in 1 h", "in 9 h", "in 36 h", "in 2 d", "in 90 d")
    for seconds in (900.0, hour + 60, 9 * hour - 60, 36 * hour, 48 * hour + 60, 90 * 24 * hour):
        calls.add(run_after=utc_now(literal(seconds)))

    rows = view(calls, "v_batch")

    assert [row["waits_for"] for row in rows] == [
        f"its time, {str(row['run_after'])[:16]} UTC, {words}"
        for row, words in zip(rows, off, strict=True)
    ]


def test_an_error_is_not_told_of_a_batch_that_an_operator_lets_run_again(calls: Calls) -> None:
    number = calls.failed()
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

    calls.sql("UPDATE dc_batch SET need_tag = '' WHERE queue = '밤'")
    calls.sql("UPDATE dc_batch SET queue = '', need_tag = NULL WHERE queue = 'default'")
    assert waits() == [
        "a launcher that serves queue '' (none does)",
        *["a launcher that serves queue 밤 and has tag '' (none does)"] * 2,
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
    free = ["a free server", "a free server with 900 MB of free memory"]
    largest = "a free server with tag gpu, with 901 MB of free memory, that serves queue q"

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


def test_v_leaderboard_has_one_row_a_model_with_valid_and_test_side_by_side(calls: Calls) -> None:
    number = calls.finished(dataset_group="DATA001", dataset_version=1)
    valid, test = (
        {"n_rows": 10 + n} | {name: (i + n) / 100 for i, name in enumerate(METRICS)} for n in (0, 1)
    )
    for model_no in (1, 2):
        calls.add_model(number, model_no, valid=valid, test=test, seconds=2.5)

    rows = view(calls, "v_leaderboard")

    assert [(row["batch_id"], row["model_no"]) for row in rows] == [(number, 1), (number, 2)]
    for row in rows:
        assert row["dataset"] == "DATA001/1"
        assert (row["valid_n_rows"], row["test_n_rows"], row["fit_seconds"]) == (10, 11, 2.5)
        for i, name in enumerate(METRICS):
            assert row[f"valid_{name}"] == i / 100
            assert row[f"test_{name}"] == (i + 1) / 100


def test_v_score_band_says_where_bands_lie_and_what_share_of_rows_they_hold(calls: Calls) -> None:
    numbers = range(LOWEST, HIGHEST + 1)
    row = {"batch_id": calls.add(), "model_no": 1, "model_sub_no": 2, "model_id": "ML-RF"}
    row |= {"fence": 1, "state": "C", "n_rows": 60}
    found = [{"band": n, "n_rows": 3, "n_positive": 1, "mean_score": 0.3} for n in numbers]
    calls(
        results.put_results,
        [
            Result(**row, split="test", bands=tuple(found)),
            Result(**row, split="valid", bands=(found[0] | {"n_positive": None},)),
        ],
    )

    rows = sorted(view(calls, "v_score_band"), key=lambda row: (row["split"], row["band"]))

    assert calls(score_bands.rows_by_band, row["batch_id"], "test") == {
        (1, 2): dict.fromkeys(numbers, 3)
    }
    *test, valid = rows
    assert [each["band"] for each in test] == [*numbers]
    for each in rows:
        assert (each["model_id"], each["n_rows"], each["share"]) == ("ML-RF", 3, 3 / 60)
    assert {each["positive_rate"] for each in test} == {1 / 3}
    assert valid["n_positive"] is valid["positive_rate"] is None
    # Scores are cut there by the program, too: no float32 lies between its bounds and these.
    assert (test[0]["low"], test[-1]["high"]) == (0, 1)
    for below, above in pairwise(test):
        assert below["high"] == above["low"]
        near = np.float32(above["low"])
        least = near if float(near) >= above["low"] else np.nextafter(near, np.float32(1))
        both = bands(np.array([np.nextafter(least, np.float32(0)), least]), None)
        assert [each.band for each in both] == [below["band"], above["band"]]
