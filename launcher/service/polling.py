"""Looking for work: what there is goes into free slots; a launcher that drains finds out when
nothing is left.
"""

import random

import structlog

from configs.errors import DatabaseRefused
from launcher.service.absence import Absence
from launcher.service.claimer import Claimed, Claimer
from launcher.service.kept_back import what_to_do
from launcher.service.metrics import Metrics
from launcher.service.reporting import Reporting
from launcher.service.slots import Slots

# Between two lines on one batch: somebody watches a drain, but a daemon's log is kept.
_NEWS_DRAINING, _NEWS_SERVING = 10.0, 60.0

log = structlog.get_logger(__name__)


class Polling:
    """How one launcher looks for work; it does something only when it is called."""

    def __init__(
        self,
        slots: Slots,
        claimer: Claimer,
        absence: Absence,
        metrics: Metrics,
        *,
        server_id: str,
        seconds: float,
        drain: bool,
        spare: bool,
    ) -> None:
        """`seconds`: from a look that found nothing to the next. `drain`: whether to find out when
        nothing is left to run. `spare`: keep a child ready while idle.
        """
        self._slots = slots
        self._claimer = claimer
        self._absence = absence
        self._metrics = metrics
        self._server_id = server_id
        self._seconds = seconds
        self._drain = drain
        self._keeps_spare = spare
        self._awaited: list[int] = []
        self.drained = False
        """Whether there is nothing left to run, or no way to find out: then `refused` says why."""
        self.refused: DatabaseRefused | None = None
        self.exit_code = 0
        """That of a launcher that has drained: 1 if a batch that it could claim could not begin."""

    def once(self) -> float:
        """Claim a batch and start it; if there is none, look again a little later.

        Returns the seconds until then. Raises DatabaseUnavailable and DatabaseRefused, and as
        Slots.start.
        """
        if away := self._absence.pause():
            if self._draining:
                self._leave(self._absence.why)
            return away
        claimed = self._claim()
        if claimed is not None:
            seconds = _NEWS_DRAINING if self._drain else _NEWS_SERVING
            watch = Reporting(claimed.batch.batch_id, seconds=seconds)
            self._slots.start(claimed.batch, claimed.at, watch)
            self._metrics.claimed()
            return 0.0
        if self._draining:
            if self._claimer.nothing_left():
                self._leave()
                return 0.0
            self._tell_of_others()
        if self._keeps_spare:
            self._slots.prepare()
        return self._seconds * random.uniform(0.5, 1.5)  # noqa: S311

    @property
    def _draining(self) -> bool:
        """Whether only what is left elsewhere keeps it from its end."""
        return self._drain and not self._slots.busy

    def _claim(self) -> Claimed | None:
        slot = self._slots.next_free
        try:
            return None if slot is None else self._claimer.next(slot)
        except DatabaseRefused as error:
            if self._draining:  # who waits for the end would wait for ever
                self.drained, self.refused = True, error
            raise

    def _leave(self, absent: str | None = None) -> None:
        """There is nothing more to run; `absent`: why what could be claimed could not begin."""
        for kept in self._claimer.left():
            why = what_to_do(kept, server_id=self._server_id)
            if absent and not why:
                why, self.exit_code = absent, 1
            if why:
                log.info("left waiting", batches=kept.n, why=why)
        self.drained = True

    def _tell_of_others(self) -> None:
        """A launcher that drains waits for what they run: it may have to be tried again."""
        running = self._claimer.running()
        if running and running != self._awaited:
            log.info("waiting for batches that others run", batches=running)
        self._awaited = running
