"""A worker that leaves: the scheduler's words may come later than its answers."""

import asyncio

from distributed import Scheduler, Worker, WorkerPlugin

from launcher.cluster.leaving import leave


class TellAgain(WorkerPlugin):
    """What the scheduler sends to a worker that it retires arrives while that one closes."""

    def teardown(self, worker):
        worker.stream_handlers["worker-status-change"](
            status="closing_gracefully", stimulus_id="retire-workers"
        )


def test_that_it_is_retired_is_no_error_to_a_worker_that_leaves_already(caplog):
    async def live_and_leave():
        async with (
            Scheduler(dashboard_address="127.0.0.1:0", port=0, host="127.0.0.1") as scheduler,
            Worker(scheduler.address, plugins=[TellAgain()], dashboard=False) as worker,
        ):
            await leave(worker, renew=False)
            return worker.status.name, list(scheduler.workers)

    assert asyncio.run(live_and_leave()) == ("closed", [])
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
