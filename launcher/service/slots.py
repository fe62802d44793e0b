"""The batches that a launcher runs at this moment, each supervised by a thread."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import structlog
from sqlalchemy import Engine

from configs.settings import Settings
from launcher.service.clusters import Cluster
from launcher.service.settlement import give_back
from launcher.service.spare import Spare
from launcher.service.supervisor import Outcome, Supervisor
from launcher.service.verdict import Stopping
from pipeline.messages import Progress
from storage import claims
from storage.records import Batch

_REST_SECONDS = 600.0

log = structlog.get_logger(__name__)


class Slots:
    """Places for batches, numbered from 0. Used by one thread, unless a method says otherwise."""

    def __init__(
        self,
        count: int,
        *,
        engine: Engine,
        settings: Settings,
        cluster: Cluster,
        command: Sequence[str],
    ) -> None:
        """`command`: the child that runs a batch; it is spoken to in lines of pipeline.messages."""
        self._free = set(range(count))
        self._busy: dict[int, tuple[Supervisor, threading.Thread]] = {}
        self._engine = engine
        self._settings = settings
        self._cluster = cluster
        self._spare = Spare(command)
        # Filled by a signal handler too, which may interrupt this very thread inside get(): of
        # all queues, events and locks only SimpleQueue allows that.
        self._events: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()
        self._vacated = time.monotonic()

    @property
    def next_free(self) -> int | None:
        return min(self._free, default=None)

    @property
    def busy(self) -> bool:
        return bool(self._busy)

    def reserved_mb(self) -> int:
        """What the batches that run have asked for, whether they have taken it already or not."""
        return sum(each.batch.need_mem_mb or 0 for each, _ in self._busy.values())

    def heartbeat_age(self) -> float:
        """The most overdue batch's, in seconds; 0 if nothing runs. Any thread may call this."""
        return max((each.heartbeat_age for each, _ in list(self._busy.values())), default=0.0)

    def start(
        self,
        batch: Batch,
        claimed_at: float,
        watch: Callable[[Progress], None] | None,
    ) -> None:
        """Raises RuntimeError: this host has no thread left; the batch was given back."""
        slot = self.next_free
        assert slot is not None
        supervisor = Supervisor(
            batch,
            engine=self._engine,
            settings=self._settings,
            cluster=self._cluster,
            spawn=self._spare.take,
            claimed_at=claimed_at,
            watch=watch,
        )
        thread = threading.Thread(
            target=self._supervise, args=(slot, supervisor), name=f"batch-{batch.batch_id}"
        )
        try:
            thread.start()
        except RuntimeError:
            give_back(self._engine, claims.claim_of(batch))
            raise
        self._free.remove(slot)
        self._busy[slot] = supervisor, thread

    def prepare(self) -> None:
        """There is nothing to do: make ready for the next batch."""
        if not self._busy:
            self._spare.prepare()

    def wait(self, seconds: float | None) -> Outcome | None:
        """How a batch ended, whose slot is free now; None: no batch did within so many seconds, or
        before `wake` was called.
        """
        try:
            event = self._events.get(timeout=seconds)
        except Empty:
            return None
        if event is None:
            return None
        slot, outcome = event
        self._vacate(slot, outcome)
        return outcome

    def wake(self) -> None:
        """Let `wait` return. May be called by any thread, and in a signal handler."""
        self._events.put(None)

    def close(self) -> None:
        """Stop what runs, wait for its end, and close the cluster."""
        self.stop(Stopping.NOW)
        while self._busy:
            self.wait(None)
        self._spare.dismiss()
        self._cluster.close()

    def stop(self, how: Stopping) -> None:
        for supervisor, _ in self._busy.values():
            supervisor.stop(how)

    def _vacate(self, slot: int, outcome: Outcome) -> None:
        _, thread = self._busy.pop(slot)
        thread.join()
        self._free.add(slot)
        self._vacated = time.monotonic()
        # Workers cannot be made to drop a task they are at. With nobody else on them, a new
        # cluster for the next batch is better than one that is busy for hours with the last.
        if not self._busy and outcome.stale:
            self._cluster.close()

    def rest(self) -> None:
        """To be called now and then: a cluster that nobody needs costs memory."""
        if not self._busy and time.monotonic() - self._vacated > _REST_SECONDS:
            self._cluster.close()

    def _supervise(self, slot: int, supervisor: Supervisor) -> None:
        outcome = Outcome(None, stale=True)  # if the supervisor itself fails: its lease runs out
        try:
            outcome = supervisor.run()
        except Exception:
            log.exception("supervisor failed", batch_id=supervisor.batch.batch_id)
        finally:
            self._events.put((slot, outcome))
