"""The launcher: its parts, its loop, and what it does again and again beside looking for work."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from configs.errors import DatabaseUnavailable
from configs.settings import Settings
from launcher.service.absence import Absence
from launcher.service.child import COMMAND
from launcher.service.claimer import Claimer
from launcher.service.clusters import Cluster, make_cluster
from launcher.service.heartbeat import interval_of, patience_of
from launcher.service.metrics import Metrics, serving
from launcher.service.notify import Notifier
from launcher.service.orders import Orders
from launcher.service.outage import Outage
from launcher.service.polling import Polling
from launcher.service.profile import Profile
from launcher.service.registration import Registration, check_rights
from launcher.service.slots import Slots
from launcher.service.steps import Step
from launcher.service.verdict import Stopping
from storage import sweeping
from storage.driver_errors import naming_old_schema
from storage.engine import make_engine, reading, transaction

log = structlog.get_logger(__name__)


class Daemon:
    """A launcher under the name of a server. It is made for one call of run."""

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        *,
        drain: bool = False,
        spare: bool = False,
        command: Sequence[str] = COMMAND,
        cluster: Cluster | None = None,
        metrics: Metrics | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """`drain`: end when nothing is left to run. `spare`: keep a child ready while idle.
        `command`: the child that runs a batch. `cluster`: is closed when the launcher ends.
        `notifier`: whom to tell how it stands; default: nobody.
        """
        self._settings = settings
        self._profile = profile
        patience = patience_of(settings.lease_seconds)
        self._engine = make_engine(settings, timeout_seconds=patience)
        self._peeking = make_engine(settings, autocommit=True, timeout_seconds=patience)
        cluster = cluster or make_cluster(settings)
        self._slots = Slots(
            profile.slots, engine=self._engine, settings=settings, cluster=cluster, command=command
        )
        self._claimer = Claimer(
            self._engine,
            self._peeking,
            self._profile,
            lease_seconds=settings.lease_seconds,
            reserved_mb=self._slots.reserved_mb,
        )
        self._registration = Registration(self._engine, self._peeking, self._profile)
        self._metrics = metrics or Metrics()
        self._metrics.watch(self._peeking, self._slots.heartbeat_age)
        self._notifier = notifier or Notifier({})
        self._absence = Absence(cluster.answers)
        self._outage = Outage(self._metrics.database_away)
        self._orders = Orders(settings.grace_seconds, wake=self._slots.wake)
        self._stopping = Stopping.NO
        self._takes_none: str | None = None
        self._polling = Polling(
            *(self._slots, self._claimer, self._absence, self._metrics),
            server_id=profile.server_id,
            seconds=settings.poll_seconds,
            drain=drain,
            spare=spare,
        )
        self._poll = Step("poll", self._polling.once, self._outage, wanted=self._may_claim)
        self._seen = Step("seen", self._say_alive, self._outage)
        self._sweeping = Step("sweep", self._sweep, self._outage)
        self._steps = (
            self._poll,
            self._seen,
            self._sweeping,
            Step("rest", self._rest, self._outage),
        )

    def run(self) -> int:
        """Until it is told to stop, or with `drain` until nothing is left; returns the exit code: 1
        where what could be claimed could not begin.

        Raises:
            DatabaseRefused, WrongSchema: at the start, also where a right is missing; later they
                are waited out like an outage, but with `drain` what refuses a claim ends it.
            WrongState: a launcher under this id is at work on this host.
            BadSetting: metrics_port is taken.
        """
        at = self._settings.metrics_host, self._settings.metrics_port
        with self._attended(), serving(self._metrics, *at):
            if self._register():
                self._notifier.ready(f"{self._profile.server_id} claims batches")
                log.info(
                    "launcher started", server_id=self._profile.server_id, slots=self._profile.slots
                )
                self._loop()
                self._registration.leave()
        log.info("launcher stopped", server_id=self._profile.server_id)
        if self._polling.refused is not None:
            raise self._polling.refused
        return self._polling.exit_code

    def stop(self) -> None:
        """What a signal does: the first drains, the second stops at once."""
        self._orders.give()

    def _loop(self) -> None:
        while self._heeding_orders() and not self._polling.drained:
            self._notifier.alive()
            self._notice()
            # One at a time: against a database that hangs, each takes as long as its timeout.
            step = min(self._steps, key=lambda each: each.due)
            now = time.monotonic()
            if step.due <= now:
                step.turn()
            else:
                self._wait(max(0.0, min(step.due, self._orders.due) - now))

    def _may_claim(self) -> bool:
        return self._stopping is Stopping.NO and self._slots.next_free is not None

    def _wait(self, seconds: float) -> None:
        """For the end of a batch, or an order."""
        outcome = self._slots.wait(seconds)
        if outcome is not None:
            self._absence.heed(outcome)
            self._metrics.ended(outcome)
            self._poll.hasten()

    def _heeding_orders(self) -> bool:
        """Do as we were told; whether there is a reason to go on."""
        self._stop(self._orders.stopping())
        return self._slots.busy or self._stopping is Stopping.NO

    def _stop(self, how: Stopping) -> None:
        if how is not self._stopping:
            facts = {}
            if how is Stopping.DRAINING and self._slots.busy:
                grace = f"{self._settings.grace_seconds:g} s"
                facts["next"] = f"what runs has {grace} to finish; a second signal stops it at once"
            server_id = self._profile.server_id
            log.info("launcher stopping", how=how.value, server_id=server_id, **facts)
            self._notifier.stopping(f"stopping: {how.value}")
            self._stopping = how
            self._slots.stop(how)

    def _notice(self) -> None:
        """Let people see at once why nothing is claimed, and when that is over."""
        stops = self._stopping is not Stopping.NO
        takes_none = "it is stopping" if stops else self._absence.present
        if takes_none != self._takes_none:
            self._takes_none = takes_none
            self._seen.hasten()

    def _say_alive(self) -> float:
        self._registration.renew(self._takes_none)
        return self._round()

    def _sweep(self) -> float:
        """Give an end to batches whose launcher does not live."""
        with reading(self._peeking) as connection:
            lost = sweeping.needed(connection)
        if lost and self._sweeping.failing:
            return 2 * self._round()  # nobody could renew a lease: those who live come first
        for batch_id, fence in transaction(self._engine, sweeping.sweep) if lost else ():
            log.warning("lease expired; the batch was given an end", batch_id=batch_id, fence=fence)
            self._metrics.swept()
            self._poll.hasten()
        return self._round()

    def _rest(self) -> float:
        self._slots.rest()
        return self._round()

    def _round(self) -> float:
        pause = interval_of(self._settings.lease_seconds)
        return pause * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, no secret

    def _register(self) -> bool:
        """False: told to stop before the database answered. Raises as `run`."""
        # What is done stays done: else connections that break all the time would let none begin.
        steps: deque[Callable[[], object]] = deque(
            (
                partial(check_rights, self._engine),
                self._registration.check_id,
                self._reap,
                self._registration.enter,
            )
        )
        while self._orders.stopping() is Stopping.NO:
            try:
                with naming_old_schema(self._engine):
                    while steps:
                        steps[0]()
                        steps.popleft()
            except DatabaseUnavailable as error:
                pause = self._outage.failed("register", error)
                # It is up: a service manager that took it for hung would only kill it.
                self._notifier.ready("waits for the database")
                self._notifier.alive()
                self._wait(pause)
            else:
                self._outage.passed("register")
                return True
        return False

    def _reap(self) -> None:
        for batch_id, fence in self._registration.reap():
            log.warning("our former process died; its batch ended", batch_id=batch_id, fence=fence)
            self._metrics.swept()

    @contextmanager
    def _attended(self) -> Iterator[None]:
        """Signals are heard inside, and nothing is left running afterwards, whatever happens."""
        with self._orders.heard():
            try:
                yield
            finally:
                self._slots.close()
                self._claimer.give_back_doubtful()
                self._peeking.dispose()
                self._engine.dispose()
