"""Two parties at one row: one has changed it and not yet committed, the other comes along.

On MariaDB the second waits for the row, or passes it over where it may; on SQLite it waits for the
one write lock, so that there one party always comes after the other and little is left to test.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from configs.errors import LeaseLost, Retry
from configs.settings import Settings
from storage import batches, candidates, claims, sweeping, taking
from storage.engine import make_engine
from storage.offers import Offer
from storage.records import Batch, Claim
from tests.calls import Calls
from tests.rival import Rival

CANCEL = "UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00' WHERE batch_id = :b"
FIRST = "UPDATE dc_batch SET priority = 1 WHERE batch_id = :b"
RESET = "UPDATE dc_batch SET state = 'I' WHERE batch_id = :b"

ASKED = Offer(server="S").parameters | {"queue": "default", "passed": []}


@pytest.fixture
def mariadb_engine(mariadb_engine: Engine) -> Iterator[Engine]:
    """Who waits for a lock gives up after the test, not before: after the usual few seconds a claim
    goes on to the next row, as if it had not waited.
    """

    def patient(connection: Any, _record: Any) -> None:
        connection.cursor().execute("SET innodb_lock_wait_timeout=60")

    event.listen(mariadb_engine, "connect", patient)
    yield mariadb_engine
    event.remove(mariadb_engine, "connect", patient)


@contextmanager
def held(calls: Calls) -> Iterator[Connection]:
    """A transaction that stays open while the rival tries, and is then committed."""
    connection = calls.engine.connect()
    transaction = connection.begin()
    try:
        yield connection
    finally:
        if transaction.is_active:
            transaction.rollback()
        connection.close()


def claim_in(connection: Connection, server: str = "S1") -> Batch | None:
    return claims.claim(connection, Offer(server=server), identity=server, lease_seconds=60)


def meet(calls: Calls, rival: Rival[Any]) -> None:
    """A claim passes over rows that are locked, where not the whole database is."""
    if calls.engine.dialect.name == "mariadb":
        rival.must_pass()
    else:
        rival.must_wait()


def ended(calls: Calls, number: int) -> tuple[str, bool, str | None]:
    batch = calls.read(number)
    return batch.state, batch.run_after is not None, batch.error_class


def test_claim_and_claim_get_different_batches(calls: Calls) -> None:
    first, second = calls.add(), calls.add()
    with held(calls) as connection:
        mine = claim_in(connection)
        rival = Rival(lambda: calls.take("S2"))
        meet(calls, rival)
        connection.commit()

    assert mine is not None
    assert mine.batch_id == first
    assert rival.result().batch_id == second


def test_claim_and_claim_of_the_only_batch(calls: Calls) -> None:
    calls.add()
    with held(calls) as connection:
        mine = claim_in(connection)
        rival = Rival(lambda: calls.claim("S2"))
        meet(calls, rival)
        connection.commit()

    assert mine is not None
    assert rival.result() is None
    assert calls.finish(claims.claim_of(mine))


@pytest.mark.parametrize("commits", [True, False])
def test_claim_and_claim_of_one_concurrency_key(calls: Calls, commits: bool) -> None:
    calls.add(concurrency_key="k")
    calls.add(concurrency_key="k")
    other = calls.add()
    with held(calls) as connection:
        claim_in(connection)
        rival = Rival(lambda: calls.take("S2"))
        meet(calls, rival)  # it does not wait for the unique index, which only now decides
        if commits:
            connection.commit()
        else:
            connection.rollback()

    taken = rival.result().batch_id
    waited = calls.engine.dialect.name == "sqlite"
    assert taken == (1 if waited and not commits else other)
    running = calls.value("SELECT COUNT(*) FROM dc_batch WHERE state='U' AND concurrency_key='k'")
    assert running == (taken == 1 or commits)


def test_a_launcher_frozen_in_its_claim_keeps_no_operator_waiting_for_long(
    mariadb_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine._IDLE_TRANSACTION_SECONDS", 1)
    frozen, operator = (Calls(make_engine(mariadb_settings)) for _ in range(2))
    operator.add(concurrency_key="k")
    operator.finish(operator.take())  # it leaves its key in the index, marked as deleted
    operator.add(concurrency_key="k")
    with frozen.engine.connect() as connection:
        connection.begin()
        assert claim_in(connection) is not None

        added = operator.add()  # else it waits for innodb_lock_wait_timeout, and fails

        assert added == 3
        connection.invalidate()
    assert operator.take().batch_id == 2
    for each in (frozen, operator):
        each.engine.dispose()


def test_a_claim_and_an_operators_new_twin_of_a_retry(calls: Calls) -> None:
    """An INSERT that is not committed holds the dedupe_key that the retry would take."""
    first = calls.add(dedupe_key="d")
    calls.sql(
        "UPDATE dc_batch SET state='E', run_after='2026-01-01', attempt=1 WHERE batch_id = :b",
        b=first,
    )
    due = calls.add()
    calls.sql(
        "UPDATE dc_batch SET state='E', run_after='2026-01-02', attempt=1 WHERE batch_id = :b",
        b=due,
    )
    with held(calls) as connection:
        batches.add(connection, mode="noop", dedupe_key="d")
        rival = Rival(lambda: calls.take("S2"))
        meet(calls, rival)
        connection.rollback()

    assert rival.result().batch_id == (first if calls.engine.dialect.name == "sqlite" else due)


def test_claim_and_an_operators_cancel(calls: Calls) -> None:
    first, second = calls.add(), calls.add()
    with held(calls) as connection:
        connection.execute(text(CANCEL), {"b": first})
        rival = Rival(calls.take)
        meet(calls, rival)
        connection.commit()

    assert rival.result().batch_id == second


@pytest.mark.parametrize("statement", [CANCEL, "DELETE FROM dc_batch WHERE batch_id = :b"])
def test_an_operators_words_wait_for_a_claim_and_then_count(calls: Calls, statement: str) -> None:
    number = calls.add()
    with held(calls) as connection:
        mine = claim_in(connection)
        rival = Rival(lambda: calls.sql(statement, b=number))
        rival.must_wait()
        connection.commit()

    assert rival.result() == 1
    assert mine is not None
    beat = calls.beat(claims.claim_of(mine))
    assert beat.cancel_requested or not beat.owned


def test_a_claim_does_not_believe_what_it_read_before(calls: Calls) -> None:
    # What a server would do that takes SKIP LOCKED without a word and ignores it.
    calls.add()
    with calls.engine.connect() as connection:
        rows = connection.execute(taking.WAITING, ASKED).all()
    claim = calls.take()
    calls(claims.release, claim)  # it is I again, as it was when it was read

    assert calls(taking.take_one, rows, "S2", 60) is None
    assert calls(taking._take, rows[0], "S2", 60) is None
    assert calls.states() == "I"


@pytest.mark.parametrize(
    "word", [CANCEL, "UPDATE dc_batch SET run_after = NULL WHERE batch_id = :b"]
)
def test_what_an_operator_says_after_a_claim_has_read_counts(calls: Calls, word: str) -> None:
    number = calls.failed(Retry.AT_ONCE)
    with calls.engine.connect() as connection:
        rows = connection.execute(taking.RETRIES, ASKED).all()
    calls.sql(word, b=number)

    assert [row.batch_id for row in rows] == [number]
    assert calls(taking.take_one, rows, "S2", 60) is None
    assert calls(taking._take, rows[0], "S2", 60) is None
    assert calls.states() == "E"


def test_a_key_that_is_taken_after_a_claim_has_read_is_busy(calls: Calls) -> None:
    for _ in range(2):
        calls.add(concurrency_key="k")
    with calls.engine.connect() as connection:
        rows = connection.execute(taking.WAITING, ASKED).all()
    calls.take()

    assert len(rows) == 2
    assert calls(taking.take_one, rows, "S2", 60) is None
    assert calls.states() == "UI"


@pytest.mark.parametrize("seen", [1, 2])
def test_a_claim_that_came_too_late_keeps_no_owner_waiting(
    mariadb_engine: Engine, seen: int
) -> None:
    calls = Calls(mariadb_engine)
    numbers = [calls.add() for _ in range(seen)]
    with held(calls) as connection:
        rows = connection.execute(taking.WAITING, ASKED).all()
        claim = calls.take()
        late = taking.take_one(connection, rows, "S2", 60)
        # Its transaction is still open.
        rival = Rival(lambda: calls.finish(claim))
        assert rival.result()
        connection.commit()

    assert claim.batch_id == numbers[0]
    assert (late.batch_id if late else None) == (numbers[1] if seen == 2 else None)


Party = Callable[[Connection, Claim], Any]


def sweep(connection: Connection, claim: Claim) -> list[tuple[int, int]]:
    return sweeping.sweep(connection)


def finish(connection: Connection, claim: Claim) -> bool:
    return claims.finish(connection, claim)


def beat(connection: Connection, claim: Claim) -> bool:
    return claims.beat(connection, claim, lease_seconds=60, progress=None, note=None).owned


def fail(connection: Connection, claim: Claim) -> bool:
    return claims.fail(connection, claim, error_class="Boom", error_text="", retry=Retry.AT_ONCE)


def release(connection: Connection, claim: Claim) -> bool:
    return claims.release(connection, claim)


def cancel(connection: Connection, claim: Claim) -> bool:
    return batches.cancel(connection, claim.batch_id)


def cancel_by_sql(connection: Connection, claim: Claim) -> int:
    return connection.execute(text(CANCEL), {"b": claim.batch_id}).rowcount


def reset(connection: Connection, claim: Claim) -> int:
    return connection.execute(text(RESET), {"b": claim.batch_id}).rowcount


def delete(connection: Connection, claim: Claim) -> int:
    statement = text("DELETE FROM dc_batch WHERE batch_id = :b")
    return connection.execute(statement, {"b": claim.batch_id}).rowcount


GONE = None
AGAIN = ("E", True, "LeaseExpired")
MEETINGS = [
    # first and its answer, second and its answer, how the batch ends; the lease is over.
    (finish, True, sweep, [], ("C", False, None)),
    (sweep, [(1, 1)], finish, False, AGAIN),
    (beat, True, sweep, [], ("U", False, None)),
    (sweep, [(1, 1)], beat, False, AGAIN),
    (sweep, [(1, 1)], fail, False, AGAIN),
    (sweep, [(1, 1)], sweep, [], AGAIN),
    (fail, True, sweep, [], ("E", True, "Boom")),
    (fail, True, cancel, True, ("E", False, "Cancelled")),
    (fail, True, cancel_by_sql, 1, ("E", True, "Boom")),  # the next sweep carries it out
    (cancel, True, fail, True, ("E", False, "Boom")),
    (cancel_by_sql, 1, fail, True, ("E", False, "Boom")),
    (cancel_by_sql, 1, finish, True, ("C", False, None)),
    (cancel_by_sql, 1, release, True, ("E", False, "Cancelled")),
    (finish, True, cancel, False, ("C", False, None)),
    (release, True, reset, 1, ("I", False, None)),
    (reset, 1, release, False, ("I", False, None)),
    (reset, 1, finish, False, ("I", False, None)),
    (finish, True, reset, 1, ("I", False, None)),
    (reset, 1, sweep, [], ("I", False, None)),
    (sweep, [(1, 1)], reset, 1, ("I", True, "LeaseExpired")),
    (finish, True, delete, 1, GONE),
    (delete, 1, finish, False, GONE),
    (delete, 1, beat, False, GONE),
    (delete, 1, sweep, [], GONE),
]


@pytest.mark.parametrize(
    ("first", "answer", "second", "reply", "end"),
    MEETINGS,
    ids=[f"{first.__name__}-{second.__name__}" for first, _, second, _, _ in MEETINGS],
)
def test_two_at_one_batch(
    mariadb_engine: Engine, first: Party, answer: Any, second: Party, reply: Any, end: Any
) -> None:
    calls = Calls(mariadb_engine)
    calls.add()
    claim = calls.take(lease=-1)
    with held(calls) as connection:
        assert first(connection, claim) == answer
        rival = Rival(lambda: calls(second, claim))
        if second is sweep:
            rival.must_pass()  # whoever holds the row is about to settle it
        else:
            rival.must_wait()
        connection.commit()

    assert rival.result() == reply
    if end is GONE:
        assert calls.states() == ""
    else:
        assert ended(calls, claim.batch_id) == end
    # Whatever was passed over is not settled differently by the next sweep.
    if second is sweep:
        assert calls(sweeping.sweep) == []


def test_what_an_owner_writes_keeps_everybody_else_waiting(calls: Calls) -> None:
    calls.add()
    claim = calls.take(lease=-1)
    with held(calls) as connection:
        claims.hold(connection, claim)
        rival = Rival(lambda: calls(delete, claim))
        rival.must_wait()
        connection.commit()
    assert rival.result() == 1


@pytest.mark.parametrize("theft", [sweep, reset, delete])
def test_nothing_is_written_under_a_batch_that_is_being_taken_away(
    calls: Calls, theft: Party
) -> None:
    calls.add()
    claim = calls.take(lease=-1)
    with held(calls) as connection:
        theft(connection, claim)
        rival = Rival(lambda: calls(claims.hold, claim))
        rival.must_wait()
        connection.commit()

    with pytest.raises(LeaseLost):
        rival.result()


def test_a_poll_that_finds_nothing_holds_up_no_operator(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    numbers = [
        calls.add(need_tag="gpu"),
        calls.add(train_batch_id=1),
        calls.add(priority=5, queue="default", need_mem_mb=10**6),
    ]
    with held(calls) as connection:
        for _ in range(2):
            assert (
                claims.claim(
                    connection, Offer(server="S", free_mb=1), identity="S", lease_seconds=60
                )
                is None
            )
        # The poll's transaction is still open; were a row or a gap locked, this would wait.
        insert = Rival(calls.add)
        assert insert.result() > numbers[-1]
        for number in numbers:
            update = Rival(
                lambda n=number: calls.sql(
                    "UPDATE dc_batch SET priority = 1 WHERE batch_id = :b", b=n
                )
            )
            assert update.result() == 1


def test_a_claim_holds_no_row_but_its_own(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    blocked = [calls.add(need_tag="gpu") for _ in range(5)]
    mine, behind = calls.add(), calls.add()
    with held(calls) as connection:
        taken = claim_in(connection)
        assert taken is not None
        assert taken.batch_id == mine
        free = "SELECT batch_id FROM dc_batch ORDER BY batch_id FOR UPDATE SKIP LOCKED"
        with calls.engine.connect() as other:
            assert list(other.scalars(text(free))) == [*blocked, behind]


def test_rows_that_an_operator_holds_for_long_do_not_stop_the_queue(
    mariadb_engine: Engine,
) -> None:
    calls = Calls(mariadb_engine)
    for _ in range(30):
        calls.add(priority=1)
    free, urgent = calls.add(), calls.add(queue="next")
    with held(calls) as connection:
        connection.execute(text("UPDATE dc_batch SET priority = 2 WHERE priority = 1"))
        order = [Rival(lambda: calls.take(queues=("default", "next"))).result() for _ in range(2)]
    assert [claim.batch_id for claim in order] == [free, urgent]


def test_many_launchers_take_every_batch_once(calls: Calls) -> None:
    keys = [None, None, None, "a", "b"]
    numbers = [calls.add(concurrency_key=keys[i % 5]) for i in range(60)]

    def work(server: str) -> list[int]:
        done = []
        while calls(taking.pending, Offer(server="")):
            batch = calls.claim(server)
            if batch is not None:
                assert calls.finish(claims.claim_of(batch))
                done.append(batch.batch_id)
        return done

    rivals = [Rival(lambda name=f"S{i}": work(name)) for i in range(6)]
    done = [number for rival in rivals for number in rival.result()]

    assert sorted(done) == numbers
    assert calls.value("SELECT COUNT(*) FROM dc_batch_attempt WHERE outcome = 'C'") == len(numbers)
    assert calls.value("SELECT MAX(fence) FROM dc_batch") == 1


def test_two_who_add_to_a_candidate_list_at_once_have_all_their_models_on_it(calls: Calls) -> None:
    first, second, third = [(1, number, 1) for number in (1, 2, 3)]
    with held(calls) as connection:
        assert candidates.add(connection, "C001", [first, second]) == 2
        rival = Rival(lambda: calls(candidates.add, "C001", [second, third]))
        rival.must_wait()
        connection.commit()

    assert rival.result() == 1
    assert calls(candidates.names, "C001") == (first, second, third)


def test_who_adds_to_a_candidate_list_may_be_overtaken_twice(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    models = [(1, number, 1) for number in (1, 2, 3)]
    with held(calls) as later:
        assert candidates.add(later, "C001", models[2:]) == 1
        with held(calls) as sooner:
            assert candidates.add(sooner, "C001", models[:2]) == 2
            rival = Rival(lambda: calls(candidates.add, "C001", models))
            rival.must_wait()
            sooner.commit()
        rival.must_wait()
        later.commit()

    assert rival.result() == 0
    assert calls(candidates.names, "C001") == tuple(models)
