"""What every connection promises: isolation, UTC, errors by their right names, repeats."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import IntegrityError

from configs.errors import (
    BadSetting,
    DatabaseRefused,
    DatabaseUnavailable,
    LoginRefused,
    Retry,
    retry_of,
)
from configs.settings import load
from storage import batches, claims, migrate, queues, sweeping
from storage.engine import make_engine, not_waiting, reading, transaction
from storage.offers import Offer
from tests.calls import Calls
from tests.certificate import make_certificate
from tests.conftest import SettingsFactory
from tests.mariadb import NOT_DURABLE, MariaDB, running_mariadb
from tests.ports import free_port
from tests.rival import Rival


def use(engine: Engine) -> None:
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))


def test_sessions_of_mariadb_are_as_the_queue_needs_them(mariadb_engine: Engine) -> None:
    with reading(mariadb_engine) as connection:
        row = connection.execute(
            text(
                "SELECT @@tx_isolation, @@time_zone, @@innodb_lock_wait_timeout,"
                " @@idle_transaction_timeout,"
                " @@character_set_client, @@autocommit, @@sql_mode LIKE '%STRICT_TRANS_TABLES%'"
            )
        ).one()
    assert tuple(row) == ("READ-COMMITTED", "+00:00", 3, 20, "utf8mb4", 0, 1)


def test_korean_comes_and_goes_whatever_the_server_has_as_its_default(
    tmp_path: Path, settings: SettingsFactory
) -> None:
    latin = ("--character-set-server=latin1", "--skip-character-set-client-handshake")
    with running_mariadb(tmp_path / "latin", (*NOT_DURABLE, *latin)) as server:
        server.client("CREATE DATABASE d")
        engine = make_engine(settings(**server.settings("d")))
        migrate.upgrade(engine, lambda _: None)
        calls = Calls(engine)
        number = calls.add(batch_desc="신용 모형 재학습", queue="밤")

        stored = server.client("SELECT HEX(batch_desc) FROM dc_batch", "d").strip()
        assert bytes.fromhex(stored).decode() == "신용 모형 재학습"
        assert calls.read(number).batch_desc == "신용 모형 재학습"
        calls(queues.pause, "밤")
        waits_for = calls.value("SELECT waits_for FROM v_batch WHERE queue = '밤'")
        assert waits_for == "queue 밤, which is paused"
        engine.dispose()


def test_every_connection_of_sqlite_waits_and_writes_ahead(sqlite_engine: Engine) -> None:
    for _ in range(2):
        with reading(sqlite_engine) as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert values == ["wal", 1, 1, 10000]
        sqlite_engine.dispose()


def test_readers_on_sqlite_do_not_wait_for_a_writer(sqlite_engine: Engine) -> None:
    calls = Calls(sqlite_engine)
    number = calls.add()
    with sqlite_engine.begin() as connection:
        batches.set_priority(connection, number, 5)
        assert Rival(lambda: calls.read(number)).result().priority == 100


def test_a_server_that_is_away_is_unavailable_and_worth_a_retry(settings: SettingsFactory) -> None:
    engine = make_engine(settings(database_url=f"mariadb+pymysql://u@127.0.0.1:{free_port()}/d"))

    with pytest.raises(DatabaseUnavailable, match="does not answer") as error:
        use(engine)
    assert retry_of(error.value) is Retry.LATER


@pytest.mark.parametrize(
    ("change", "retry"),
    [
        ({"database_password": "wrong"}, Retry.LATER),
        ({"database_url": "no_such_database"}, Retry.NEVER),
    ],
)
def test_a_wrong_password_or_database_is_refused_and_not_told(
    mariadb_server: MariaDB, settings: SettingsFactory, change: dict[str, str], retry: Retry
) -> None:
    given = mariadb_server.settings("mysql")
    if "database_url" in change:
        change = {"database_url": mariadb_server.url(change["database_url"])}
    engine = make_engine(settings(**given | change))

    with pytest.raises(DatabaseRefused, match="refused us") as error:
        use(engine)
    assert retry_of(error.value) is retry
    assert given["database_password"] not in f"{error.value} {engine!r}"


@pytest.mark.parametrize("change", ["IDENTIFIED BY 'new'", "ACCOUNT LOCK", "PASSWORD EXPIRE"])
def test_a_login_that_is_refused_is_told_from_what_an_account_may_not_do(
    account: Callable[..., Engine], mariadb_server: MariaDB, change: str
) -> None:
    engine = account()
    use(engine)
    engine.dispose()
    mariadb_server.client(f"ALTER USER plain@'127.0.0.1' {change}")

    with pytest.raises(LoginRefused):
        use(engine)


def test_a_server_that_the_authority_does_not_vouch_for_is_told_nothing(
    mariadb_server: MariaDB, settings: SettingsFactory, tmp_path: Path
) -> None:
    def connect(authority: Path) -> None:
        given = mariadb_server.settings("mysql")
        url = make_url(given["database_url"]).set(query={"ssl_ca": str(authority)})
        use(make_engine(settings(**given | {"database_url": url.render_as_string()})))

    connect(mariadb_server.certificate)
    other, _ = make_certificate(tmp_path)
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        connect(other)
    with pytest.raises(BadSetting, match="database_url: ssl_ca: cannot read /none"):
        connect(Path("/none"))


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        "postgresql://u@h/d",
        "mysql+mysqldb://u@h/d",
        "mariadb://u@h/d",
        "mariadb+pymysql://u@h:port/d",
    ],
)
def test_other_databases_are_refused_with_words_that_help(
    settings: SettingsFactory, url: str
) -> None:
    with pytest.raises(BadSetting, match=r"mariadb\+pymysql://user@host/"):
        make_engine(settings(database_url=url))


def test_a_file_that_is_no_database_is_refused(settings: SettingsFactory, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are no tables" * 100)

    with pytest.raises(DatabaseRefused, match="not a database"):
        use(make_engine(settings(database_url=f"sqlite:///{tmp_path / 'notes.txt'}")))


def test_the_folder_of_the_embedded_database_is_private_and_so_is_its_file(tmp_path: Path) -> None:
    engine = make_engine(load({"database_url": f"sqlite:///{tmp_path}/var/deepcredit.db"}))
    use(engine)

    for made in (tmp_path / "var", *(tmp_path / "var").iterdir()):
        assert made.stat().st_mode & 0o077 == 0


def test_a_folder_is_no_database(settings: SettingsFactory, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        use(make_engine(settings(database_url=f"sqlite:///{tmp_path}")))


def test_a_locked_file_is_unavailable(sqlite_engine: Engine) -> None:
    path = sqlite_engine.url.database or ""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    @event.listens_for(sqlite_engine, "connect")
    def _hurry(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    try:
        with pytest.raises(DatabaseUnavailable, match="locked"):
            Calls(sqlite_engine).add()
    finally:
        event.remove(sqlite_engine, "connect", _hurry)
        other.close()


def test_a_killed_connection_is_unavailable_and_the_next_one_works(mariadb_engine: Engine) -> None:
    def suicide(connection: Connection) -> None:
        connection.execute(text("KILL CONNECTION_ID()"))

    with pytest.raises(DatabaseUnavailable):
        transaction(mariadb_engine, suicide)
    use(mariadb_engine)


def test_a_deadlock_is_repeated_until_both_are_through(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    first, second = calls.add(), calls.add()
    runs = []

    def both(connection: Connection, numbers: tuple[int, int]) -> None:
        runs.append(numbers)
        for number in numbers:
            batches.set_priority(connection, number, numbers[0])
            deadline = time.monotonic() + 1
            while len(runs) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)  # until the other, too, has its first row

    rivals = [
        Rival(lambda numbers=numbers: calls(both, numbers))
        for numbers in ((first, second), (second, first))
    ]
    for rival in rivals:
        rival.result()
    assert calls.read(first).priority == calls.read(second).priority


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_row_that_stays_locked_is_tried_as_often_as_was_said(
    mariadb_engine: Engine, attempts: int
) -> None:
    number = Calls(mariadb_engine).add()
    tried = []

    def work(connection: Connection) -> None:
        tried.append(connection)
        with not_waiting(connection):
            batches.set_priority(connection, number, 5)

    with mariadb_engine.begin() as holder:
        batches.set_priority(holder, number, 7)
        with pytest.raises(DatabaseUnavailable):
            transaction(mariadb_engine, work, attempts=attempts)
    assert len(tried) == attempts


def test_what_cannot_succeed_is_not_repeated(engine: Engine) -> None:
    calls = Calls(engine)
    number = calls.add()
    runs = []

    def twice(connection: Connection) -> None:
        runs.append(1)
        batches.add(connection, batch_id=number)

    with pytest.raises(IntegrityError):
        calls(twice)
    assert runs == [1]


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    calls = Calls(engine)

    def half(connection: Connection) -> None:
        batches.add(connection, mode="train")
        raise KeyError("and now this")

    with pytest.raises(KeyError):
        calls(half)
    assert calls.states() == ""


def test_a_connection_that_is_closed_early_holds_nothing(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    number = calls.add()
    with mariadb_engine.connect() as connection:
        batches.set_priority(connection, number, 5)
        session = connection.scalar(text("SELECT CONNECTION_ID()"))
    assert calls.read(number).priority == 100
    calls(batches.set_priority, number, 6)
    with mariadb_engine.connect() as connection:
        assert connection.scalar(text("SELECT CONNECTION_ID()")) == session  # it was used again


def test_a_transaction_sends_nothing_after_its_commit(mariadb_engine: Engine) -> None:
    calls = Calls(mariadb_engine)
    calls.add()

    def count(connection: Connection) -> int:
        row = connection.execute(text("SHOW SESSION STATUS LIKE 'Questions'")).one()
        return int(row[1])

    before = calls(count)  # and its COMMIT, and the question itself
    assert calls(count) - before == 2


# Time.


@pytest.mark.parametrize("zone", ["-12:00", "+00:00", "+13:00"])
def test_sessions_in_any_zone_agree_on_the_time(mariadb_engine: Engine, zone: str) -> None:
    calls = Calls(mariadb_engine)
    with mariadb_engine.begin() as connection:  # an operator's session, in whatever zone
        connection.execute(text(f"SET time_zone = '{zone}'"))
        connection.execute(text("INSERT INTO dc_batch (mode) VALUES ('train')"))
        connection.execute(text("SET time_zone = '+00:00'"))
    batch = calls.read(1)
    assert abs(batch.created_at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)

    with mariadb_engine.begin() as connection:
        connection.execute(text(f"SET time_zone = '{zone}'"))
        claimed = claims.claim(connection, Offer(server="S"), identity="S", lease_seconds=60)
        connection.execute(text("SET time_zone = '+00:00'"))
    assert claimed is not None
    assert calls(sweeping.sweep) == []
    assert calls.value("SELECT age_seconds BETWEEN 0 AND 60 FROM v_batch") == 1
    with mariadb_engine.begin() as connection:
        connection.execute(text(f"SET time_zone = '{zone}'"))
        assert sweeping.sweep(connection) == []
        connection.execute(text("SET time_zone = '+00:00'"))


@pytest.fixture
def sent(engine: Engine) -> Iterator[list[Any]]:
    """Every parameter that goes to the database."""
    values: list[Any] = []

    def record(_: Any, __: Any, ___: Any, parameters: Any, *____: Any) -> None:
        given = parameters.values() if isinstance(parameters, dict) else parameters
        values.extend(given)

    event.listen(engine, "before_cursor_execute", record)
    yield values
    event.remove(engine, "before_cursor_execute", record)


def test_no_time_of_a_host_goes_to_the_database(engine: Engine, sent: list[Any]) -> None:
    calls = Calls(engine)
    calls.add(max_attempts=9)
    for retry in (Retry.AT_ONCE, Retry.LATER, None):
        claim = calls.take(lease=-1, batch_id=1)
        calls.beat(claim, lease_seconds=-1, progress=0.5, note="half")
        calls(batches.cancel, 1)
        calls.sql("UPDATE dc_batch SET cancel_requested_at = NULL")
        if retry is None:
            calls(sweeping.sweep)
        else:
            calls.fail(claim, retry)
    calls(claims.release, calls.take(batch_id=1))
    calls.finish(calls.take(batch_id=1))
    calls(batches.rerun, 1)

    now = time.time()
    numbers = [value for value in sent if isinstance(value, int | float)]
    assert all(abs(value) < now / 1000 for value in numbers)
    moments = {str(value) for value in sent if isinstance(value, datetime)}
    texts = {value for value in sent if isinstance(value, str)}
    moments |= {value for value in texts if value[:2] == "20" and value[4:5] == "-"}
    assert moments  # the start of an attempt, as the database has told it
    assert all(
        calls.value("SELECT 1 FROM dc_batch_attempt WHERE started_at = :t", t=m) for m in moments
    )


BUSY = {
    "read_only = 1": "read-only",
    "tx_read_only = 1": "READ ONLY",
    "max_statement_time = 0.000001": "max_statement_time",
}


@pytest.mark.parametrize("setting", BUSY)
def test_a_server_set_not_to_serve_us_is_unavailable(
    mariadb_engine: Engine, account: Callable[..., Engine], setting: str
) -> None:
    admin, plain = Calls(mariadb_engine), Calls(account())
    admin.sql(f"SET GLOBAL {setting}")
    try:
        # A statement may be done before the server looks at the clock.
        with pytest.raises(DatabaseUnavailable, match=BUSY[setting]):
            for _ in range(50):
                plain.add(batch_memo="x" * 100_000)
    finally:
        admin.sql(f"SET GLOBAL {setting.split()[0]} = 0")
