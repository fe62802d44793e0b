"""The executor that batches run on."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from launcher.cluster.link import Link
from launcher.cluster.running import Run
from pipeline.executor import Done, Need, anything

T = TypeVar("T")
R = TypeVar("R")


class DaskExecutor:
    """Runs tasks on a Dask cluster; an implementation of pipeline.executor.Executor.

    `link` is closed with it. `remote`: whether workers may lack our local cache; addresses do not
    tell. `renew_after`: a worker is replaced by a new process after so many tasks; `stuck_seconds`:
    also one whose task has not run at all for so long. 0: never.
    """

    def __init__(self, link: Link, *, remote: bool, renew_after: int, stuck_seconds: float) -> None:
        self.link = link
        self.remote = remote
        self._renew_after = renew_after
        self._stuck_seconds = stuck_seconds

    @property
    def workers(self) -> int:
        return sum(worker.threads for worker in self.link.look_between_runs())

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(worker.host for worker in self.link.look_between_runs())

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
                self.link,
                function,
                tasks,
                need=need,
                deadline=deadline,
                renew_after=self._renew_after,
                stuck_seconds=self._stuck_seconds,
            )
        )

    def close(self) -> None:
        """Forget what still runs; return soon, whatever state the cluster is in."""
        self.link.close()
