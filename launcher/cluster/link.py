"""A batch's way to its scheduler, which may be lost and found again."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from distributed import Client

from configs.errors import ClusterUnavailable
from launcher.cluster import events
from launcher.cluster.capacity import Has, workers_in
from launcher.cluster.client import GONE

AGAIN_SECONDS = 180.0  # a scheduler that was lost is waited for

LOST = "lost the Dask scheduler"
AWAY = "the Dask scheduler is away"
IDLE = "no Dask worker is there"

_ANSWER_SECONDS = 120.0  # on a host that is very busy, too


class Link:
    """Owns a client, in whose place another one may come.

    `reconnect` makes it when the scheduler was lost, and gives up at a moment of time.monotonic;
    without it a loss is for good. `on_wait` is told why nothing goes on, and "" when it does again.
    """

    def __init__(
        self,
        client: Client,
        reconnect: Callable[[float], Client] | None,
        on_wait: Callable[[str], None],
    ) -> None:
        self.client = client
        self._reconnect = reconnect
        self._on_wait = on_wait
        self._waits = ""

    @property
    def steady(self) -> bool:
        """Whether a scheduler that was lost is expected back."""
        return self._reconnect is not None

    def look(self) -> list[Has]:
        """The workers there are. Raises ClusterUnavailable: the scheduler is lost."""
        # Client.scheduler_info would wait for ever for a scheduler that hangs.
        if self.client.status != "running":
            raise ClusterUnavailable(LOST)
        try:
            ask: Any = self.client.scheduler
            info = self.client.sync(ask.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)
        except GONE as error:
            raise ClusterUnavailable(f"{LOST}: {error or 'no answer'}") from error
        return workers_in(info)

    def look_between_runs(self) -> list[Has]:
        """As `look`, where a scheduler that was lost has not been missed yet."""
        try:
            return self.look()
        except ClusterUnavailable:
            if not self.steady:
                raise
            self.again(time.monotonic() + AGAIN_SECONDS)
            return self.look()

    def again(self, until: float) -> None:
        """Connect to a scheduler that was lost.

        Raises:
            ClusterUnavailable: it was not back by then (on time.monotonic).
        """
        self.close()
        if self._reconnect is None:
            raise ClusterUnavailable(LOST)
        self.tell(AWAY)
        self.client = self._reconnect(until)
        self.tell("")

    def tell(self, waits: str) -> None:
        """Why nothing goes on; "": it does."""
        if waits != self._waits:
            self._waits = waits
            self._on_wait(waits)

    def close(self) -> None:
        """Forget what still runs; return soon, whatever state the cluster is in."""
        with contextlib.suppress(*GONE):
            if self.client.status == "running":
                events.forget(self.client)
        self.client.close()
