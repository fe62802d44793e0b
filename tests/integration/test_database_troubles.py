"""A launcher at work while its database is away, silent, read-only or slow."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from configs.errors import DatabaseRefused
from configs.settings import Settings
from storage import servers, sweeping
from storage.columns import utc_now
from storage.engine import reading, transaction
from tests.mariadb import MariaDB
from tests.proxy import Proxy, proxied
from tests.runs import Runs, in_thread
from tests.waiting import alive, until

LEASE = 1.6
USER = "plain"  # without the privilege to write to a server that is read-only


@pytest.fixture
def proxy(mariadb_server: MariaDB) -> Iterator[Proxy]:
    with proxied(mariadb_server.port) as proxy:
        yield proxy


@pytest.fixture
def here(mariadb_settings: Settings, tmp_path) -> Iterator[Runs]:
    """Who looks on, past the proxy."""
    runs = Runs(mariadb_settings, tmp_path)
    yield runs
    runs.engine.dispose()


@pytest.fixture
def there(here: Runs, proxy: Proxy) -> Iterator[Runs]:
    """The launcher's own view of the database."""
    url = make_url(here.settings.database_url)
    sql(here, f"CREATE OR REPLACE USER {USER}@'127.0.0.1' IDENTIFIED BY 'pw'")
    sql(here, f"GRANT ALL ON `{url.database}`.* TO {USER}@'127.0.0.1'")
    through = url.set(port=proxy.port, username=USER)
    changes = {
        "database_url": through.render_as_string(hide_password=False),
        "database_password": "pw",
        "lease_seconds": LEASE,
        "poll_seconds": 0.1,
        "grace_seconds": 0.1,
    }
    runs = Runs(Settings.model_validate(here.settings.model_dump() | changes), here.folder)
    yield runs
    proxy.restore()
    runs.engine.dispose()
    sql(here, f"DROP USER {USER}@'127.0.0.1'")


def sql(runs: Runs, statement: str) -> None:
    transaction(runs.engine, lambda connection: connection.execute(text(statement)))


Trouble = Callable[[Proxy, Runs], object]
TROUBLES: dict[str, tuple[Trouble, Trouble]] = {
    "away": (lambda proxy, _: proxy.cut(), lambda proxy, _: proxy.restore()),
    "silent": (lambda proxy, _: proxy.silence(), lambda proxy, _: proxy.restore()),
    "read-only": (
        lambda _, here: sql(here, "SET GLOBAL read_only = 1"),
        lambda _, here: sql(here, "SET GLOBAL read_only = 0"),
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_longer_than_the_lease_ends_the_child_and_not_the_launcher(
    here: Runs, there: Runs, proxy: Proxy, trouble: str
) -> None:
    begin, end = TROUBLES[trouble]
    batch_id = here.add()
    with capture_logs() as logged, in_thread(there.daemon("told")):
        child = there.pid("B")
        began = time.monotonic()
        begin(proxy, here)
        try:
            # The row is ours for a lease after the last beat; from then on others may run it.
            until(lambda: not alive(child))
            assert here.row(batch_id).state == "U"
            until(lambda: told(logged, "the database cannot be used") == 1)
            until(lambda: time.monotonic() > began + 2 * LEASE)
        finally:
            there.tell("B")
            end(proxy, here)
        until(lambda: here.row(batch_id).state == "C")
        until(lambda: told(logged, "the database answers again") == 1)  # by another thread

    # A beat that waits for an answer has not failed, so a silent server costs an attempt here.
    given_back = [("I", None), ("C", None)]
    expected = {
        "away": [given_back],
        "silent": [[("E", "LeaseExpired"), ("C", None)]],
        "read-only": [given_back, [("E", "LeaseExpired"), ("C", None)]],  # who comes first
    }
    assert here.outcomes(batch_id) in expected[trouble]
    assert there.pid("B") != child


def told(logged: list, words: str) -> int:
    return sum(words in line["event"] for line in logged)


def test_a_row_that_an_operator_keeps_locked_costs_no_attempt_and_is_named(
    here: Runs, there: Runs, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_url(here.settings.database_url).database
    there.settings = there.settings.model_copy(update={"lease_seconds": 8})
    batch_id = here.add()
    with (
        capture_logs() as logged,
        in_thread(there.daemon("told")),
        mariadb_server.connect(database) as operator,
    ):
        child = there.pid("B")
        operator.begin()
        operator.cursor().execute(f"UPDATE dc_batch SET priority = 10 WHERE batch_id = {batch_id}")
        until(lambda: not alive(child))
        there.tell("B")
        operator.rollback()
        until(lambda: len(here.outcomes(batch_id)) == 2)

    words = f"row {batch_id} of dc_batch is locked by another transaction"
    assert any(words in line.get("error", "") for line in logged)
    assert here.outcomes(batch_id)[0] == ("I", None)
    assert here.row(batch_id).attempt <= 1


def test_a_launcher_whose_row_is_locked_goes_on_claiming(
    here: Runs, there: Runs, mariadb_server: MariaDB
) -> None:
    database = make_url(here.settings.database_url).database
    with in_thread(there.daemon("succeed")), mariadb_server.connect(database) as operator:
        until(lambda: seen(here))
        operator.begin()
        operator.cursor().execute("UPDATE dc_server SET tags = '[\"mine\"]'")
        time.sleep(LEASE)  # several rounds
        nothing_holds_up_batches(here)
        operator.rollback()
        before = seen(here)
        until(lambda: seen(here) > before)


def nothing_holds_up_batches(here: Runs) -> None:
    """Put off by a step that fails, whose pauses double from half a second, each waits longer for
    its turn than the one before; else they take a second or two on a machine that is very busy.
    """
    began = time.monotonic()
    for _ in range(6):
        batch_id = here.add()
        until(lambda: here.row(batch_id).state == "C")  # noqa: B023 - called here
    assert time.monotonic() - began < 25


def test_a_step_that_fails_for_good_holds_up_no_other(
    here: Runs, there: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise DatabaseRefused

    monkeypatch.setattr(servers, "renew", refused)
    monkeypatch.setattr(sweeping, "needed", refused)
    with capture_logs() as logged, in_thread(there.daemon("succeed")):
        until(lambda: told(logged, "the database cannot be used") == 1)
        nothing_holds_up_batches(here)

    assert told(logged, "the database answers again") == 0


def seen(runs: Runs) -> datetime | None:
    with reading(runs.engine) as connection:
        return next((server.last_seen for server in servers.listing(connection)), None)


@pytest.mark.slow
def test_a_slow_database_costs_no_attempt(here: Runs, there: Runs, proxy: Proxy) -> None:
    batch_id = here.add()
    proxy.delay = 0.08  # a beat takes half a second
    with in_thread(there.daemon("succeed:2.5")):
        until(lambda: here.row(batch_id).state == "C")
        proxy.delay = 0

    assert here.outcomes(batch_id) == [("C", None)]


def test_a_launcher_whose_connections_are_killed_all_the_time_goes_on(
    here: Runs, there: Runs, mariadb_server: MariaDB
) -> None:
    batch_ids = [here.add() for _ in range(2)]
    killed, pause = 0, 0.15

    def kill() -> bool:
        nonlocal killed, pause
        with mariadb_server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'")
            for (number,) in cursor.fetchall()[:1]:
                cursor.execute(f"KILL CONNECTION {number}")
                killed += 1
        time.sleep(pause)
        pause *= 1.05  # on a busy machine it takes long to make one, and to do something with it
        return all(here.row(batch_id).state == "C" for batch_id in batch_ids)

    with in_thread(there.daemon("succeed:2")):
        until(kill, seconds=120)

    assert killed > 6
    # A connection that breaks as a claim is committed may cost an attempt, and no more.
    assert [here.outcomes(batch_id)[-1] for batch_id in batch_ids] == [("C", None)] * 2


def test_a_login_that_is_refused_under_a_launcher_costs_no_attempts(
    here: Runs, there: Runs
) -> None:
    first = here.add()
    with there.launcher("needs-login"):
        until(lambda: here.row(first).state == "C")  # it has connected wherever it does
        sql(here, f"ALTER USER {USER}@'127.0.0.1' IDENTIFIED BY 'new'")
        batch_ids = [here.add() for _ in range(3)]
        until(lambda: here.outcomes(batch_ids[0])[:1] == [("I", "LoginRefused")])
        sql(here, f"ALTER USER {USER}@'127.0.0.1' IDENTIFIED BY 'pw'")
        until(lambda: all(here.row(batch_id).state == "C" for batch_id in batch_ids))

    assert [here.row(batch_id).attempt for batch_id in batch_ids] == [1] * 3
    assert [here.outcomes(batch_id) for batch_id in batch_ids[1:]] == [[("C", None)]] * 2


def test_a_launcher_follows_a_switch_over(here: Runs, there: Runs) -> None:
    # The right to write to a read-only server counts from the next login on: as after a switch-over
    # old connections lead to a server that is read-only, and new ones to one that is not.
    batch_ids = [here.add()]
    with in_thread(there.daemon("succeed:2", slots=2)):
        there.pid("B")
        sql(here, f"GRANT READ ONLY ADMIN ON *.* TO {USER}@'127.0.0.1'")
        sql(here, "SET GLOBAL read_only = 1")
        try:
            batch_ids.append(here.add())
            until(lambda: all(here.row(batch_id).state == "C" for batch_id in batch_ids))
        finally:
            sql(here, "SET GLOBAL read_only = 0")

    assert [here.outcomes(batch_id) for batch_id in batch_ids] == [[("C", None)]] * 2


def test_a_sweep_that_waited_for_locked_tables_lets_launchers_renew_first(here: Runs) -> None:
    batch_id = here.add()
    here.claim()
    here.change(batch_id, lease_until=utc_now(-1))
    with here.engine.connect() as operator, ThreadPoolExecutor(1) as pool:
        operator.exec_driver_sql("LOCK TABLES dc_batch READ")
        swept = pool.submit(transaction, here.engine, sweeping.sweep)
        until(lambda: longest_wait_ms(here) > 2100)
        operator.exec_driver_sql("UNLOCK TABLES")
        assert swept.result(20) == []

    assert here.row(batch_id).state == "U"
    assert transaction(here.engine, sweeping.sweep) == [(batch_id, 1)]


def longest_wait_ms(runs: Runs) -> float:
    query = text(
        "SELECT COALESCE(MAX(time_ms), 0) FROM information_schema.processlist"
        " WHERE state = 'Waiting for table metadata lock'"
    )
    with reading(runs.engine) as connection:
        return float(connection.scalar(query))
