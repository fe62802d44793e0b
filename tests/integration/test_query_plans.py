"""What MariaDB makes of the queries that launchers repeat, however many rows there are."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from pymysql.cursors import DictCursor
from sqlalchemy import Connection, Engine, event, text

from storage import claims, leaderboard, listing, sweeping, taking
from storage.offers import Offer

FINISHED = (
    "INSERT INTO dc_batch (mode, state, run_after, attempt)"
    " SELECT 'train', {state}, {run_after}, 3 FROM seq_1_to_{n}"
)
WAITING = "INSERT INTO dc_batch (mode, queue) SELECT 'train', 'default' FROM seq_1_to_{n}"
DUE = (
    "INSERT INTO dc_batch (mode, state, attempt, run_after)"
    " SELECT 'train', 'E', 1, UTC_TIMESTAMP(6) - INTERVAL seq SECOND FROM seq_1_to_{n}"
)
MODELS = (
    "INSERT INTO dc_model (batch_id, model_no, model_sub_no, fence, model_id, params, threshold,"
    " uri, format, sha256, bytes, scores_uri, scores_sha256, split_id, preprocessor_uri,"
    " preprocessor_sha256, fingerprint)"
    " SELECT seq, 1, 1, 1, 'ML-RF', '{{}}', 0.5, '', '', '', 1, '', '', '', '', '', ''"
    " FROM seq_1_to_{n}"
)
RESULTS = (
    "INSERT INTO dc_batch_result (batch_id, model_no, model_sub_no, split, fence, state, auc)"
    " SELECT batch_id, model_no, model_sub_no, '{split}', 1, 'C', RAND() FROM dc_model"
)

OFFER = Offer(server="S", tags=("gpu",), free_mb=1000)
ASKED = OFFER.parameters | {"queue": "default", "passed": []}


def plans(engine: Engine, work: Callable[[Connection], Any]) -> list[list[dict[str, Any]]]:
    """How the server runs each SELECT of `work`, asked just before it does; nothing is kept."""
    found = []

    def explain(connection: Connection, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith("SELECT"):
            with connection.connection.cursor(DictCursor) as cursor:
                cursor.execute(f"EXPLAIN {statement}", parameters)
                found.append(list(cursor.fetchall()))

    with engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", explain)
        work(connection)
        connection.rollback()
    return found


def claim(connection: Connection) -> object:
    return claims.claim(connection, OFFER, identity="S", lease_seconds=60)


def rows_read(connection: Connection) -> int:
    """By this connection, so far."""
    counts = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(value) for _, value in counts)


def fill(engine: Engine, rows: int) -> None:
    """Most are completed or failed for good, as in a table that has served for a while."""
    some = max(rows // 20, 2)
    with engine.begin() as connection:
        for statement in (
            FINISHED.format(n=max(rows - 3 * some, 1), state="'C'", run_after="NULL"),
            FINISHED.format(n=some, state="'E'", run_after="NULL"),
            WAITING.format(n=some),
            DUE.format(n=some),
        ):
            connection.execute(text(statement))
        connection.execute(text("ANALYZE TABLE dc_batch"))


@pytest.mark.parametrize("rows", [5, 1_000, 100_000])
def test_what_launchers_repeat_follows_its_indexes(mariadb_engine: Engine, rows: int) -> None:
    fill(mariadb_engine, rows)

    waiting, lock, *by_key = plans(mariadb_engine, claim)
    (retries,) = plans(mariadb_engine, lambda connection: connection.execute(taking.RETRIES, ASKED))

    for candidates, index in ((waiting, "k_claim"), (retries, "k_retry"), (lock, "PRIMARY")):
        scans = [step for step in candidates if step["table"] == "dc_batch"]
        assert [step["key"] for step in scans] == [index]
        for step in candidates:
            assert "filesort" not in (step["Extra"] or "")
            assert "temporary" not in (step["Extra"] or "")
    assert lock[0]["type"] == "range"  # a look-up would keep the lock of a row that others took
    # What is changed is met by its primary key alone.
    assert by_key
    for plan in by_key:
        assert [(step["key"], step["type"]) for step in plan] == [("PRIMARY", "const")]

    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        sweeping.sweep(connection)
        taking.claimable(connection, OFFER)
        sweeping.needed(connection)
        claim(connection)
        nowhere = Offer(server="S", queues=("none",))
        claims.claim(connection, nowhere, identity="S", lease_seconds=60)
        assert rows_read(connection) - before < 500
        connection.rollback()


def test_candidates_of_an_ensemble_are_looked_up_by_their_numbers(mariadb_engine: Engine) -> None:
    fill(mariadb_engine, 100_000)
    with mariadb_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO dc_candidate_model_list"
                " (candidate_id, batch_id, model_no, model_sub_no)"
                " SELECT CONCAT('C', seq % 20), 1 + (37 * seq) % 100000, 1, 1 FROM seq_1_to_20000"
            )
        )
        connection.execute(text("UPDATE dc_batch SET candidate_id = 'C1' WHERE state = 'I'"))
        connection.execute(text("ANALYZE TABLE dc_batch, dc_candidate_model_list"))

    waiting, *_ = plans(mariadb_engine, claim)

    keys = {step["table"]: (step["key"], step["type"]) for step in waiting}
    assert keys["dc_candidate_model_list"] == ("PRIMARY", "ref")
    assert keys["parent"] == ("PRIMARY", "eq_ref")


def test_the_best_of_many_models_are_found_without_reading_the_others(
    mariadb_engine: Engine,
) -> None:
    with mariadb_engine.begin() as connection:
        connection.execute(text(WAITING.format(n=2_000)))
        connection.execute(text(MODELS.format(n=2_000)))
        for split in ("valid", "test"):
            connection.execute(text(RESULTS.format(split=split)))
        connection.execute(text("ANALYZE TABLE dc_model, dc_batch_result"))

    (plan,) = plans(mariadb_engine, lambda connection: leaderboard.models(connection, limit=5))

    assert [step["type"] for step in plan if step["table"] == "dc_model"] == ["eq_ref"]


def test_models_of_one_data_set_are_found_without_reading_the_batches_of_others(
    mariadb_engine: Engine,
) -> None:
    of_others = FINISHED.format(n=2_000, state="'C'", run_after="NULL")
    with mariadb_engine.begin() as connection:
        connection.execute(text(of_others))
        connection.execute(text("UPDATE dc_batch SET dataset_group = 'G', dataset_version = 1"))
        connection.execute(text("UPDATE dc_batch SET dataset_version = 2 WHERE batch_id <= 5"))
        connection.execute(text(MODELS.format(n=2_000)))
        for split in ("valid", "test"):
            connection.execute(text(RESULTS.format(split=split)))
        connection.execute(text("ANALYZE TABLE dc_batch, dc_model, dc_batch_result"))

    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        assert len(leaderboard.models(connection, dataset=("G", 2))) == 5
        found = text(
            "SELECT * FROM v_leaderboard WHERE dataset_group = 'G' AND dataset_version = 2"
        )
        assert len(connection.execute(found).all()) == 5
        assert rows_read(connection) - before < 250


@pytest.mark.parametrize("state", ["I", "U", "C", "E", None])
def test_the_newest_batches_are_listed_without_reading_the_others(
    mariadb_engine: Engine, state: Literal["I", "U", "C", "E"] | None
) -> None:
    fill(mariadb_engine, 2_000)  # of each state that waits or has failed, a hundred and more

    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        assert len(listing.batches(connection, state=state, limit=5)) == (0 if state == "U" else 5)
        assert rows_read(connection) - before < 500


def test_looking_what_is_left_reads_nothing_that_has_ended(mariadb_engine: Engine) -> None:
    with mariadb_engine.begin() as connection:
        connection.execute(text(FINISHED.format(n=2_000, state="'C'", run_after="NULL")))
        connection.execute(text(FINISHED.format(n=2_000, state="'E'", run_after="NULL")))

    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        assert not taking.pending(connection, Offer(server="S"))
        assert rows_read(connection) - before < 100


@pytest.mark.parametrize(
    "asked",
    [
        "v_batch WHERE state = 'I'",
        "v_batch WHERE batch_id = 1000",
        "v_batch ORDER BY batch_id DESC LIMIT 20",
        "v_leaderboard WHERE batch_id = 1000 ORDER BY valid_auc DESC",
        "v_ensemble WHERE batch_id = 1000 ORDER BY rank_no LIMIT 20",
        "v_method WHERE batch_id = 1000",
        "v_score_band WHERE batch_id = 1000 AND split = 'test' ORDER BY band",
    ],
)
def test_what_operators_ask_of_a_view_reads_no_other_batches(
    mariadb_engine: Engine, asked: str
) -> None:
    one_each = "SELECT batch_id, {what}, split FROM dc_batch_result"
    with mariadb_engine.begin() as connection:
        connection.execute(text(FINISHED.format(n=2_000, state="'C'", run_after="NULL")))
        connection.execute(text(MODELS.format(n=2_000)))
        for split in ("valid", "test"):
            connection.execute(text(RESULTS.format(split=split)))
        for into, what in (
            ("dc_batch_result_t4 (batch_id, ensemble_no, rank_no, split)", "1, 1"),
            ("dc_batch_method (batch_id, method, chosen, n_models, n_rows, metric, split)",
             "'vote', 1, 1, 1, 'auc'"),
            ("dc_score_band (batch_id, model_no, model_sub_no, band, n_rows, mean_score, split)",
             "1, 1, -3, 1, 0.1"),
        ):  # fmt: skip
            connection.execute(text(f"INSERT INTO {into} {one_each.format(what=what)}"))
        connection.execute(text(WAITING.format(n=5)))
        connection.execute(
            text(
                "ANALYZE TABLE dc_batch, dc_model, dc_batch_result, dc_batch_result_t4,"
                " dc_score_band"
            )
        )

    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        assert connection.execute(text(f"SELECT * FROM {asked}")).fetchall()
        assert rows_read(connection) - before < 250
