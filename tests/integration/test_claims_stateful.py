"""Any sequence of calls and of operators' statements, against a model of the table in Python."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from configs.errors import LeaseLost, Retry, WrongState
from storage import batches, claims, sweeping
from storage.records import Claim
from tests.calls import Calls

MAX_ATTEMPTS = 2
PAST, FUTURE = "2020-01-01 00:00:00.000000", "2999-01-01 00:00:00.000000"
NEVER, NOW, LATER = None, "now", "later"


@dataclass
class Model:
    """A row as it should be. `due` says when a row in E may be claimed, `alive` is its lease."""

    key: str | None
    priority: int
    parent: int | None
    state: str = "I"
    attempt: int = 0
    fence: int = 0
    due: str | None = NEVER
    cancel: bool = False
    claim_id: str | None = None
    alive: bool | None = None

    def stop(self, state: str) -> None:
        self.state, self.alive, self.cancel = state, None, False

    def fail(self, due: str | None) -> None:
        spent = self.attempt >= MAX_ATTEMPTS or self.cancel
        self.stop("E")
        self.due = NEVER if spent else due

    def waits(self) -> bool:
        return self.state == "I" or (
            self.state == "E" and self.due is not NEVER and self.attempt < MAX_ATTEMPTS
        )


class Table(RuleBasedStateMachine):
    """Runs every step on the database and on the model, and compares the two after each."""

    numbers = Bundle("numbers")
    taken = Bundle("taken")

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.desk = Calls(engine)
        self.desk.sql("DELETE FROM dc_batch")
        self.desk.sql("DELETE FROM dc_batch_attempt")
        self.rows: dict[int, Model] = {}
        self.ended: dict[str, str] = {}
        self.fences: dict[int, int] = {}

    # What operators do.

    @rule(
        target=numbers,
        key=st.sampled_from([None, None, "a", "b"]),
        priority=st.integers(1, 3),
        parent=st.none() | numbers,
    )
    def add(self, key: str | None, priority: int, parent: int | None) -> int:
        number = self.desk.add(
            concurrency_key=key,
            priority=priority,
            train_batch_id=parent,
            max_attempts=MAX_ATTEMPTS,
        )
        self.rows[number] = Model(key, priority, parent)
        return number

    @rule(number=numbers)
    def set_waiting(self, number: int) -> None:
        met = self.desk.sql("UPDATE dc_batch SET state = 'I' WHERE batch_id = :b", b=number)
        assert met == (number in self.rows)
        if row := self.rows.get(number):
            row.state = "I"

    @rule(number=numbers)
    def stop_by_hand(self, number: int) -> None:
        statement = "UPDATE dc_batch SET state = 'E', run_after = NULL WHERE batch_id = :b"
        self.desk.sql(statement, b=number)
        if row := self.rows.get(number):
            row.state, row.due = "E", NEVER

    @rule(number=numbers)
    def ask_to_cancel(self, number: int) -> None:
        statement = "UPDATE dc_batch SET cancel_requested_at = :t WHERE batch_id = :b"
        self.desk.sql(statement, b=number, t=PAST)
        if row := self.rows.get(number):
            row.cancel = True

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        self.desk.sql("DELETE FROM dc_batch WHERE batch_id = :b", b=number)
        self.rows.pop(number, None)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        if row := self.rows.get(number):
            answer = self.desk(batches.cancel, number)
            assert answer == (row.state == "U" or row.waits())
            if row.state == "U":
                row.cancel = True
            elif row.waits():
                row.stop("E")
                row.due = NEVER

    @rule(number=numbers)
    def retry(self, number: int) -> None:
        if row := self.rows.get(number):
            try:
                self.desk(batches.retry, number)
            except WrongState:
                assert row.state in "UC"
            else:
                assert row.state in "IE"
                row.stop("I")
                row.attempt, row.due = 0, NEVER

    @rule(number=numbers)
    def rerun(self, number: int) -> None:
        if row := self.rows.get(number):
            self.desk(batches.rerun, number)
            row.stop("I")
            row.attempt, row.due = 0, NEVER

    # What time does.

    @rule(number=numbers, past=st.booleans())
    def move_its_time(self, number: int, past: bool) -> None:
        row = self.rows.get(number)
        if row is None or row.due is NEVER:
            return
        statement = "UPDATE dc_batch SET run_after = :t WHERE batch_id = :b"
        self.desk.sql(statement, b=number, t=PAST if past else FUTURE)
        row.due = NOW if past else LATER

    @rule(number=numbers)
    def let_its_lease_end(self, number: int) -> None:
        row = self.rows.get(number)
        if row is not None and row.alive:
            statement = "UPDATE dc_batch SET lease_until = :t WHERE batch_id = :b"
            self.desk.sql(statement, b=number, t=PAST)
            row.alive = False

    # What launchers do.

    @rule(target=taken, number=st.none() | numbers)
    def claim(self, number: int | None) -> Any:
        may = self._claimable(number)
        batch = self.desk.claim(batch_id=number)
        if batch is None:
            assert not may
            return multiple()
        assert batch.batch_id in may
        row = self.rows[batch.batch_id]
        row.state, row.alive, row.due = "U", True, NEVER
        if row.claim_id is not None:  # if its end was an operator's, it is written down now
            self.ended.setdefault(row.claim_id, "E")
        row.attempt, row.fence, row.claim_id = row.attempt + 1, row.fence + 1, batch.claim_id
        return claims.claim_of(batch)

    @rule(claim=taken)
    def beat(self, claim: Claim) -> None:
        row = self._owned(claim)
        found = self.desk.beat(claim)
        assert found.owned == (row is not None)
        if row is not None:
            assert found.cancel_requested == row.cancel
            row.alive = True

    @rule(claim=taken)
    def hold(self, claim: Claim) -> None:
        try:
            self.desk(claims.hold, claim)
        except LeaseLost:
            assert self._owned(claim) is None
        else:
            assert self._owned(claim) is not None

    @rule(claim=taken)
    def finish(self, claim: Claim) -> None:
        row = self._owned(claim)
        assert self.desk.finish(claim) == (row is not None)
        if row is not None:
            self._end(claim, "C")
            row.stop("C")

    @rule(claim=taken, retry=st.sampled_from(Retry))
    def fail(self, claim: Claim, retry: Retry) -> None:
        row = self._owned(claim)
        assert self.desk.fail(claim, retry) == (row is not None)
        if row is not None:
            self._end(claim, "E")
            row.fail({Retry.NEVER: NEVER, Retry.AT_ONCE: NOW, Retry.LATER: LATER}[retry])

    @rule(claim=taken)
    def release(self, claim: Claim) -> None:
        row = self._owned(claim)
        assert self.desk(claims.release, claim) == (row is not None)
        if row is None:
            return
        if row.cancel:
            self._end(claim, "E")
            row.fail(NEVER)
        else:
            self._end(claim, "I")
            row.stop("I")
            row.attempt -= 1

    @rule()
    def sweep(self) -> None:
        swept = set(self.desk(sweeping.sweep))
        expected = {
            (number, row.fence)
            for number, row in self.rows.items()
            if row.state == "U" and row.alive is False
        }
        assert swept == expected
        for number, row in self.rows.items():
            if (number, row.fence) in expected:
                if row.claim_id is not None:
                    self.ended[row.claim_id] = "E"
                row.fail(NOW)
                row.fence += 1
            elif row.cancel and row.state != "U":
                if row.waits():
                    row.stop("E")
                    row.due = NEVER
                row.cancel = False

    # What must always hold.

    @invariant()
    def table_and_model_agree(self) -> None:
        with self.desk.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT batch_id, state, attempt, fence, claim_id, run_after IS NOT NULL,"
                    " cancel_requested_at IS NOT NULL FROM dc_batch ORDER BY batch_id"
                )
            ).all()
        assert [tuple(row) for row in rows] == [
            (n, m.state, m.attempt, m.fence, m.claim_id, m.due is not NEVER, m.cancel)
            for n, m in sorted(self.rows.items())
        ]

    @invariant()
    def fences_only_grow(self) -> None:
        for number, row in self.rows.items():
            assert row.fence >= self.fences.get(number, 0)
            self.fences[number] = row.fence

    @invariant()
    def one_running_batch_a_key(self) -> None:
        with self.desk.engine.connect() as connection:
            most = connection.scalar(
                text(
                    "SELECT COUNT(*) AS n FROM dc_batch WHERE state = 'U'"
                    " AND concurrency_key IS NOT NULL GROUP BY concurrency_key ORDER BY n DESC"
                )
            )
        assert most in (None, 1)

    def teardown(self) -> None:
        with self.desk.engine.connect() as connection:
            outcomes = connection.scalars(
                text("SELECT outcome FROM dc_batch_attempt WHERE outcome IS NOT NULL")
            ).all()
        assert sorted(outcomes) == sorted(self.ended.values())

    def _owned(self, claim: Claim) -> Model | None:
        row = self.rows.get(claim.batch_id)
        ours = row is not None and row.state == "U" and row.claim_id == claim.claim_id
        return row if ours else None

    def _end(self, claim: Claim, outcome: str) -> None:
        assert claim.claim_id not in self.ended, "a claim ended twice"
        self.ended[claim.claim_id] = outcome

    def _claimable(self, number: int | None) -> set[int]:
        """Every row that may come first: retries that are due at one time have no order here."""
        busy = {row.key for row in self.rows.values() if row.state == "U" and row.key}
        free = {
            n: row
            for n, row in self.rows.items()
            if row.waits()
            and not row.cancel
            and row.key not in busy
            and not self._open(row.parent)
            and (number is not None or row.due is not LATER)
        }
        if number is not None:
            return {number} & set(free)
        waiting = [(row.priority, n) for n, row in free.items() if row.state == "I"]
        return {min(waiting)[1]} if waiting else set(free)

    def _open(self, parent: int | None) -> bool:
        row = self.rows.get(parent or 0)
        return row is not None and (row.state == "U" or row.waits())


def test_sequences_of_calls_on_sqlite(sqlite_engine: Engine) -> None:
    run(sqlite_engine)


def test_sequences_of_calls_on_mariadb(mariadb_engine: Engine) -> None:
    run(mariadb_engine)


def run(engine: Engine) -> None:
    limits = settings(
        max_examples=20,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Table(engine), settings=limits)
