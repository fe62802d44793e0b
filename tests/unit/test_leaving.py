"""A worker that leaves ends what it runs; the scheduler's words may come later than its answers."""

import asyncio

from distributed import Client, Scheduler, Worker, WorkerPlugin

from launcher.cluster import leaving
from launcher.cluster.leaving import leave
from tests.tasks import where_is


class TellAgain(WorkerPlugin):
    """What the scheduler sends to a worker that it retires arrives while that one closes."""

    def teardown(self, worker):
        worker.stream_handlers["worker-status-change"](
            status="closing_gracefully", stimulus_id="retire-workers"
        )


def scheduler():
    return Scheduler(dashboard=False, port=0, host="127.0.0.1", dashboard_address="127.0.0.1:0")


def test_what_runs_on_a_worker_that_leaves_ends_there_and_what_has_not_begun_goes_elsewhere(
    monkeypatch,
):
    monkeypatch.setattr(leaving, "_FETCH_SECONDS", 0.1)

    async def live_and_leave():
        async with (
            scheduler() as cluster,
            Worker(cluster.address, name="one", nthreads=1, dashboard=False) as one,
            Client(cluster.address, asynchronous=True) as client,
        ):
            runs, waits = (client.submit(where_is, (n, 0.5), key=f"task-{n}") for n in range(2))
            while not one.state.executing or len(one.state.tasks) < 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            async with Worker(cluster.address, name="two", nthreads=1, dashboard=False):
                await leave(one, renew=False)
                return [value[0] for value in await client.gather([runs, waits])]

    assert asyncio.run(live_and_leave()) == ["one", "two"]


def test_that_it_is_retired_is_no_error_to_a_worker_that_leaves_already(caplog):
    async def live_and_leave():
        async with (
            scheduler() as cluster,
            Worker(cluster.address, plugins=[TellAgain()], dashboard=False) as worker,
        ):
            await leave(worker, renew=False)
            return worker.status.name, list(cluster.workers)

    assert asyncio.run(live_and_leave()) == ("closed", [])
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
