"""What a child process executes: one batch, from the job on stdin to the last word on stdout."""

import contextlib
import os
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from configs import logs, plugins
from configs.errors import ClusterAway, ClusterUnavailable, Stuck, WorkerLost
from configs.settings import PREFIX, Settings, load
from launcher.cluster.connection import connect
from launcher.cluster.executor import DaskExecutor
from launcher.host.channel import open_channel
from launcher.host.stuck import watched
from launcher.service.spare import WARM
from pipeline import mode
from pipeline.messages import Finished, Job, Progress, Send, failure
from pipeline.run import execute
from storage.artifacts.opening import SFTP, open_store
from storage.engine import make_engine
from storage.records import ESTIMATE, WAITS


def main() -> None:
    """Exit code 0, whatever became of the batch: the last word says that."""
    if WARM in sys.argv:
        warm_up()
    job, send = open_channel()
    try:
        # The launcher has read the file of settings; secrets are in the environment alone.
        settings = load(job.settings, file=Path(os.devnull))
        with watched(settings.stuck_seconds, partial(_give_up, settings, send)):
            summary = _run(job, settings, Reporter(send))
    except BaseException as error:
        send(failure(error))
    else:
        send(Finished(summary))


def warm_up() -> None:
    """Import what batches need in this process: the modes, and the way to a store on another
    server. Estimators are for workers. What cannot be imported fails its own batches later.
    """
    for name in mode.available():
        with contextlib.suppress(Exception):
            mode.find(name)
    with contextlib.suppress(Exception):
        plugins.load(SFTP)


def _run(job: Job, settings: Settings, report: "Reporter") -> str:
    # The launcher repeats in its own log what we print.
    logs.configure(settings.model_copy(update={"log_format": "text"}))
    engine = make_engine(settings)
    try:
        with (
            closing(open_store(settings)) as store,
            closing(_connect(job, settings, report)) as executor,
        ):
            return execute(
                job.claim,
                settings=settings,
                engine=engine,
                store=store,
                executor=executor,
                report=report,
            )
    except ClusterUnavailable as error:
        if not job.embedded:
            raise
        raise WorkerLost(f"the embedded cluster was lost: {error}") from error
    finally:
        engine.dispose()


def _give_up(settings: Settings, send: Send, where: str) -> None:
    text = (
        f"the process that runs the batch has waited for {settings.stuck_seconds:.0f} s without "
        "running at all, and the history of the batch says where; for what may take longer, as a "
        f"view that the database computes, set {PREFIX}STUCK_SECONDS higher"
    )
    send(replace(failure(Stuck(text)), traceback=where))


def _connect(job: Job, settings: Settings, report: "Reporter") -> DaskExecutor:
    """
    Raises:
        ClusterAway: nothing of the batch has been done, so this is no attempt at it.
    """
    try:
        return connect(
            job.scheduler,
            job.certificates,
            remote=not job.embedded,
            steady=not job.embedded,
            renew_after=settings.worker_tasks,
            stuck_seconds=settings.stuck_seconds,
            on_wait=report.waits,
        )
    except ClusterUnavailable as error:
        raise ClusterAway(str(error)) from error


class Reporter:
    """Tells the launcher how far the batch is. It is told all: after each there may be silence."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._told = Progress(0.0, "")

    def __call__(self, fraction: float, note: str) -> None:
        self._told = Progress(fraction, note)
        self._send(self._told)

    def waits(self, why: str) -> None:
        """Nothing goes on, for this reason; "": it does again. Meanwhile no time left is true."""
        done = self._told.note.partition(ESTIMATE)[0]
        note = WAITS.join(filter(None, (done, why))) if why else self._told.note
        self._send(replace(self._told, note=note))
