"""The executor that batches run on."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from distributed import Client

from configs.errors import ClusterUnavailable
from launcher.cluster import events
from launcher.cluster.client import GONE
from launcher.cluster.placement import Has, workers_in
from launcher.cluster.running import Run
from launcher.cluster.workforce import AGAIN_SECONDS, LOST
from pipeline.executor import Done, Need, anything

T = TypeVar("T")
R = TypeVar("R")

_ANSWER_SECONDS = 120.0  # on a host that is very busy, too


class DaskExecutor:
    """Runs tasks on a Dask cluster; an implementation of pipeline.executor.Executor.

    `remote`: whether workers may lack our local cache; addresses do not tell. `reconnect` makes
    another client when the scheduler was lost, and gives up at a moment of time.monotonic; without
    it a loss ends the run.
    """

    def __init__(
        self,
        client: Client,
        *,
        remote: bool,
        reconnect: Callable[[float], Client] | None,
        renew_after: int,
    ) -> None:
        self.client = client
        self.remote = remote
        self._reconnect = reconnect
        self._renew_after = renew_after

    @property
    def workers(self) -> int:
        return sum(worker.threads for worker in self._there())

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(worker.host for worker in self._there())

    def run(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        need: Callable[[T], Need] = anything,
        deadline: float | None = None,
    ) -> Iterator[Done[T, R]]:
        """As the port says.

        Raises:
            ClusterUnavailable: the scheduler is gone for good, or has had no worker for a minute.
        """
        return iter(
            Run(
                self,
                function,
                tasks,
                need=need,
                deadline=deadline,
                renew_after=self._renew_after,
            )
        )

    def look(self) -> list[Has]:
        return workers_in(self._info())

    @property
    def steady(self) -> bool:
        return self._reconnect is not None

    def again(self, until: float) -> None:
        self.close()
        if self._reconnect is None:
            raise ClusterUnavailable(LOST)
        self.client = self._reconnect(until)

    def close(self) -> None:
        """Forget what still runs; return soon, whatever state the cluster is in."""
        with contextlib.suppress(*GONE):
            if self.client.status == "running":
                events.forget(self.client)
        self.client.close()

    def _there(self) -> list[Has]:
        """Between runs, when a scheduler that was lost has not been missed yet."""
        try:
            return self.look()
        except ClusterUnavailable:
            if not self.steady:
                raise
            self.again(time.monotonic() + AGAIN_SECONDS)
            return self.look()

    def _info(self) -> dict[str, Any]:
        # Client.scheduler_info would wait for ever for a scheduler that hangs.
        if self.client.status != "running":
            raise ClusterUnavailable(LOST)
        try:
            ask: Any = self.client.scheduler
            return dict(
                self.client.sync(ask.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)
            )
        except GONE as error:
            raise ClusterUnavailable(f"{LOST}: {error or 'no answer'}") from error
