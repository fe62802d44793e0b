import urllib.request
from contextlib import contextmanager
from urllib.error import URLError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from configs.errors import BadSetting
from launcher.service.metrics import Metrics, Table, serving
from launcher.service.supervisor import Outcome
from storage.columns import utc_now
from tests.ports import free_port
from tests.proxy import proxied
from tests.runs import QUICK, Runs, in_thread
from tests.waiting import until


@contextmanager
def launched(runs, behaviour):
    """A daemon that answers already."""
    with in_thread(runs.daemon(behaviour)):
        until(lambda: answers(runs.settings.metrics_port))
        yield


def answers(port):
    try:
        return scrape(port)
    except URLError:
        return None


def scrape(port):
    """Samples by name and, if it has labels, the value of the one it has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name.removeprefix("deepcredit_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def runs(mariadb_settings, tmp_path, port):
    settings = mariadb_settings.model_copy(update={**QUICK, "metrics_port": port})
    runs = Runs(settings, tmp_path)
    yield runs
    runs.engine.dispose()


def test_a_launcher_tells_what_it_did(runs, port):
    runs.add(state="C"), runs.add(state="E"), runs.add(state="I", need_tag="gpu")
    with launched(runs, "succeed"):
        until(lambda: runs.row(runs.add()) and scrape(port).get(("batches_ended_total", "C"), 0))
        seen = scrape(port)

    assert seen["claims_total",] >= 1
    assert seen["batches", "I"] >= 1
    assert (seen["batches", "C"], seen["batches", "E"]) >= (1, 1)
    assert seen["database_outages_total",] == 0
    assert answers(port) is None


def test_a_batch_that_hangs_shows_its_heartbeat(runs, port):
    runs.add()
    with launched(runs, "hang"):
        runs.pid("B")
        age = until(lambda: scrape(port)["heartbeat_age_seconds",])

    assert 0 < age < 1.6


def test_failures_and_dead_launchers_are_counted(runs, port):
    runs.add(state="U", lease_until=utc_now(-1), attempt=3)
    runs.add()
    with launched(runs, "suicide"):
        seen = until(lambda: (s := scrape(port)).get(("failures_total", "ChildLost"), 0) >= 3 and s)
        until(lambda: scrape(port)["leases_swept_total",] == 1)

    assert seen["batches_ended_total", "E"] >= 3


def test_an_outage_is_told_while_it_lasts(runs, mariadb_server, port):
    with proxied(mariadb_server.port) as proxy:
        runs.settings = proxy.before(runs.settings)
        with launched(runs, "succeed"):
            until(lambda: ("batches", "I") in scrape(port))
            proxy.cut()
            until(lambda: scrape(port)["database_away",] == 1)
            proxy.restore()
            until(lambda: scrape(port)["database_away",] == 0)
            # A moment is so short that a second connection may only be found cut after it.
            assert scrape(port)["database_outages_total",] in (1, 2)


def test_the_table_is_counted_once_a_minute(engine):
    now = [0.0]
    table = Table(engine, clock=lambda: now[0])

    def total():
        return sum(s.value for f in table.collect() for s in f.samples if s.labels)

    assert total() == 0
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO dc_batch (mode) VALUES ('train')")
    now[0] = 59.0
    assert total() == 0
    now[0] = 60.0
    assert total() == 1


def test_a_count_that_takes_long_is_repeated_less_often(sqlite_engine):
    times = iter([0.0, 0.0, 10.0, 999.0, 1011.0, 1011.0, 1011.0])
    table = Table(sqlite_engine, clock=lambda: next(times))

    list(table.collect())
    list(table.collect())  # at 999 s: 10 s of counting are paid for after 1,000
    assert next(times) == 1011.0


def test_outcomes_are_counted_by_class():
    metrics = Metrics()
    metrics.ended(Outcome("E", stale=False, error_class="StoreFull"))
    metrics.ended(Outcome("E", stale=False, error_class="BadData"))
    metrics.ended(Outcome(None, stale=True))

    def value(name, **labels):
        return metrics.registry.get_sample_value(f"deepcredit_{name}_total", labels)

    assert value("failures", error_class="StoreFull") == 1
    assert value("store_errors") == 1
    assert value("lease_losses") == 1
    assert value("batches_ended", outcome="lost") == 1
    assert value("batches_ended", outcome="E") == 2


def test_a_port_that_is_taken_is_named(port):
    with (
        serving(Metrics(), "127.0.0.1", port),
        pytest.raises(BadSetting, match=str(port)),
        serving(Metrics(), "127.0.0.1", port),
    ):
        pass
