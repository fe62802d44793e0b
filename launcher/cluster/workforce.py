"""The workers of a run: who is there, who was a moment ago, and whom to wait for."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from configs.errors import ClusterUnavailable
from launcher.cluster.capacity import Has
from launcher.cluster.link import AGAIN_SECONDS, IDLE, Link
from launcher.cluster.pace import Pace
from launcher.cluster.placement import Place

_AWAY_SECONDS = 60.0  # workers are waited for; a renewal takes some seconds

log = structlog.get_logger(__name__)


class Lost(Exception):
    """The scheduler is gone; with another one the same tasks could go on."""


class Workforce:
    """What was seen of the workers; it asks only when it is told to look."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._seen: dict[str, tuple[Has, float]] = {}  # by address, with when they were there last
        self._unserved: dict[Any, float] = {}
        self.pace = Pace(clock)
        self.there: list[Has] = []
        self.looked = self._had_some = clock()

    @property
    def known(self) -> list[Has]:
        """Also those that are away for less than a minute, as while they are renewed: else a large
        fit would be refused, or one for a card go without.
        """
        return [worker for worker, _ in self._seen.values()]

    def look(self) -> None:
        """Workers come and go; a scheduler without any would let us wait for ever.

        Raises:
            Lost: the scheduler does not answer.
            ClusterUnavailable: it has had no workers for a minute.
        """
        try:
            self._see()
        except ClusterUnavailable as error:
            raise Lost(str(error)) from error
        if self.there:
            self._had_some = self.looked
        elif self.looked - self._had_some > _AWAY_SECONDS:
            raise ClusterUnavailable(
                f"the Dask scheduler has had no workers for {_AWAY_SECONDS:.0f} s"
            )

    def come_back(self) -> None:
        """Connect to a scheduler that was lost, also if it is lost again meanwhile.

        Raises:
            ClusterUnavailable: it was not back within three minutes.
        """
        until = self._clock() + AGAIN_SECONDS
        while True:
            self._link.again(until)
            # They connect again too, one after the other.
            now = self._clock()
            self._seen = {address: (worker, now) for address, (worker, _) in self._seen.items()}
            try:
                self._see()
            except ClusterUnavailable as error:
                if self._clock() > until:
                    raise
                log.warning("scheduler lost again; connecting once more", error=str(error))
            else:
                self._had_some = self.looked
                return

    def stranded(self, asked: Mapping[Any, Place]) -> list[Any]:
        """The keys of what nobody who is there has been able to run for a minute."""
        if not self.there:
            return []
        self._unserved = {
            key: self._unserved.get(key, self.looked)
            for key, place in asked.items()
            if not any(place.offered_by(worker) for worker in self.there)
        }
        return [k for k, since in self._unserved.items() if self.looked - since > _AWAY_SECONDS]

    def _see(self) -> None:
        self.there = self._link.look()
        self._link.tell(self.pace.pause() if self.there else IDLE)
        self.looked = self._clock()
        self._seen |= {worker.address: (worker, self.looked) for worker in self.there}
        self._seen = {
            address: (worker, last)
            for address, (worker, last) in self._seen.items()
            if self.looked - last <= _AWAY_SECONDS
        }
