"""A stand-in for the process that runs a batch: does as its first argument says.

It speaks the real protocol, and writes its pid to the file named by its second argument.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from configs.errors import (
    BadData,
    ClusterAway,
    ClusterUnavailable,
    DatabaseRefused,
    LeaseLost,
    Retry,
    WorkerLost,
)
from launcher.host.channel import open_channel
from pipeline.messages import Failed, Finished, Job, Progress, failure


def main() -> None:
    behaviour, pid_file = sys.argv[1], Path(sys.argv[2])
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "lingering":
        os._exit = lambda _: None  # it does not heed that its launcher died
    job, send = open_channel()
    if behaviour == "parting":
        signal.signal(signal.SIGTERM, lambda *_: send(Finished("after all")) or sys.exit())
    # Renamed into place: who reads the file finds a whole number.
    unfinished = pid_file.with_name(f"{pid_file.name}.{os.getpid()}")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(pid_file)
    if behaviour not in ("mute", "needs-cluster", "needs-login"):
        send(Progress(0.25, "1 of 4 모델"))
    match behaviour.partition(":"):
        case ("succeed", _, seconds):
            time.sleep(float(seconds or 0))
            send(Finished(f"fence {job.claim.fence}"))
        case ("told", _, _):
            until_told(pid_file)
            send(Finished("as it was told"))
        case ("bad-data", _, _):
            try:
                raise BadData("the table is empty")
            except BadData as error:
                send(failure(error))
        case ("worker-lost", _, _):
            send(failure(WorkerLost("a worker died")))
        case ("cluster-lost", _, _):
            send(failure(ClusterUnavailable("the scheduler is gone")))
        case ("tidy", _, _):
            send(Finished("but for tidying up"))
            time.sleep(0.5)
            pid_file.with_suffix(".tidied").touch()
        case ("needs-cluster", _, _):
            place = urlsplit(job.scheduler)
            try:
                socket.create_connection((place.hostname, place.port), 5).close()
            except OSError as error:
                send(failure(ClusterAway(str(error))))
            else:
                send(Finished("had it"))
        case ("needs-login", _, _):
            try:
                ask_database(job)
            except DatabaseRefused as error:
                send(failure(error))
            else:
                send(Finished("had it"))
        case ("lingering", _, _):
            until_told(pid_file)
            pid_file.with_suffix(".accepted").write_text(str(finish(job)))
        case ("lost", _, _):
            send(Failed(LeaseLost.__name__, "", Retry.LATER))
        case ("bug", _, _):
            try:
                raise ZeroDivisionError("0으로 나눔")
            except ZeroDivisionError as error:
                send(failure(error))
        case ("crash", _, _):
            print("2026-11-27T03:50:34Z [warning  ] little memory is left", file=sys.stderr)
            print("MemoryError: 메모리 부족", file=sys.stderr)
            os._exit(7)
        case ("mute", _, _):
            sys.exit(3)
        case ("suicide", _, _):
            os.kill(os.getpid(), signal.SIGKILL)
        case ("hang" | "stubborn" | "parting", _, _):
            time.sleep(600)
        case ("parent-of-one", _, _):
            # A grandchild that holds our pipes open and outlives us, unless somebody ends it.
            if os.fork() == 0:
                pid_file.with_suffix(".grandchild").write_text(str(os.getpid()))
                time.sleep(600)
            send(Finished("left one behind"))
        case _:
            raise ValueError(behaviour)


def until_told(pid_file: Path) -> None:
    while not pid_file.with_suffix(".go").exists():
        time.sleep(0.01)


# What knows databases takes most of a second to import, and is imported by the few that need it.
def ask_database(job: Job) -> None:
    from configs.settings import load
    from storage.engine import make_engine, reading

    with reading(make_engine(load(job.settings, file=Path(os.devnull)))):
        pass


def finish(job: Job) -> bool:
    from configs.settings import load
    from storage import claims
    from storage.engine import make_engine, transaction

    engine = make_engine(load(job.settings, file=Path(os.devnull)))
    return transaction(engine, lambda connection: claims.finish(connection, job.claim))


main()
