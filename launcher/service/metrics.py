"""What a launcher counts, for Prometheus; served on a port if one is set."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from configs.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    BadSetting,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from launcher.service.supervisor import Outcome
from storage import overview, waiting
from storage.engine import reading

_STATES = ("I", "U", "C", "E")
_FRESH_SECONDS = 60.0
_SHARE = 100  # counting takes no more than a hundredth of the database's time
_OF_THE_STORE = frozenset(
    error.__name__
    for error in (ArtifactDamaged, ArtifactMissing, StoreFull, StoreRefused, StoreUnavailable)
)

log = structlog.get_logger(__name__)


class Metrics:
    """The counters of one launcher, in a registry of their own. Any thread may call."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._claims = self._counter("claims", "Batches that this launcher claimed.")
        self._ended = Counter(
            "deepcredit_batches_ended",
            "Claims that ended, by outcome: C, E, I (given back) or lost.",
            ("outcome",),
            registry=self.registry,
        )
        self._failures = Counter(
            "deepcredit_failures",
            "Claims that ended in E, by error_class.",
            ("error_class",),
            registry=self.registry,
        )
        self._lost = self._counter(
            "lease_losses", "Claims that this launcher lost to another, an operator or an outage."
        )
        self._swept = self._counter(
            "leases_swept", "Batches of dead launchers that this one gave an end."
        )
        self._store_errors = self._counter(
            "store_errors", "Claims that ended in E for an error of the model store."
        )
        self._outages = self._counter("database_outages", "Times that the database was lost.")
        self._away = Gauge(
            "deepcredit_database_away",
            "1 while the database cannot be used.",
            registry=self.registry,
        )
        for outcome in ("C", "E", "I", "lost"):
            self._ended.labels(outcome)

    def claimed(self) -> None:
        self._claims.inc()

    def ended(self, outcome: Outcome) -> None:
        self._ended.labels(outcome.state or "lost").inc()
        if outcome.state is None:
            self._lost.inc()
        if outcome.error_class and outcome.state == "E":
            self._failures.labels(outcome.error_class).inc()
            if outcome.error_class in _OF_THE_STORE:
                self._store_errors.inc()

    def swept(self) -> None:
        self._swept.inc()

    def database_away(self, away: bool) -> None:
        if away:
            self._outages.inc()
        self._away.set(int(away))

    def watch(self, engine: Engine, heartbeat_age: Callable[[], float]) -> None:
        """What is asked at a scrape: the table of batches, and how long ago the most overdue
        heartbeat of this launcher was answered, in seconds; 0 while it runs nothing.
        """
        age = Gauge(
            "deepcredit_heartbeat_age_seconds",
            "Seconds since the oldest answered heartbeat of what runs here; 0: nothing runs.",
            registry=self.registry,
        )
        age.set_function(heartbeat_age)
        self.registry.register(Table(engine))

    def _counter(self, name: str, words: str) -> Counter:
        return Counter(f"deepcredit_{name}", words, registry=self.registry)


class Table(Collector):
    """Batches by state and the longest wait, counted no more often than once a minute, and less
    often where counting takes long. While the database is away they are left out.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._states: dict[str, int] | None = None
        self._oldest = 0
        self._until = float("-inf")

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # else registering would collect, and so ask the database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._clock() >= self._until:
            self._count()
        states = self._states  # once: another scrape may find the database away meanwhile
        if states is None:
            return
        family = GaugeMetricFamily(
            "deepcredit_batches", "Batches in dc_batch by state.", labels=("state",)
        )
        for state in _STATES:
            family.add_metric((state,), states.get(state, 0))
        yield family
        yield GaugeMetricFamily(
            "deepcredit_oldest_waiting_seconds",
            "Seconds for which the oldest waiting batch has waited; 0: none waits.",
            value=self._oldest,
        )

    def _count(self) -> None:
        began = self._clock()
        try:
            with reading(self._engine) as connection:
                self._states = overview.states(connection)
                self._oldest = waiting.longest_seconds(connection)
        except Exception as error:  # a scrape tells what else there is
            log.warning("cannot count batches for metrics", error=str(error))
            self._states = None
        now = self._clock()
        self._until = now + max(_FRESH_SECONDS, _SHARE * (now - began))


@contextmanager
def serving(metrics: Metrics, host: str, port: int) -> Iterator[None]:
    """http://host:port/metrics inside; port 0: nothing.

    Raises:
        BadSetting: the port cannot be had.
    """
    if not port:
        yield
        return
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise BadSetting(
            f"metrics_port: cannot listen on {host}:{port}: {error.strerror or error}; choose "
            "another port, one for each launcher of a host"
        ) from error
    log.info("metrics are served", host=host, port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
