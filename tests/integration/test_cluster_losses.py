"""Parts of a cluster are lost while tasks run: every task comes back, and the log says what was
done about it.
"""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import psutil
import pytest
import structlog
from distributed import Future
from distributed.comm import CommClosedError

from configs.errors import ClusterUnavailable
from launcher.cluster import connection, dismissal
from launcher.cluster.connection import connect
from launcher.cluster.link import AWAY
from launcher.cluster.look import look
from launcher.service.clusters import ExternalCluster
from storage.schema import dc_batch_result
from tests import tasks
from tests.bank import ROOT, end
from tests.lab import Lab
from tests.ports import free_port
from tests.sshd import running_sshd
from tests.waiting import alive, until


class Cluster:
    """A scheduler and workers as processes, as `cluster start` starts them."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"

    def scheduler(self):
        process = self._start("scheduler", self.address, "--")
        until(ExternalCluster(self.address).answers)
        return process

    @property
    def scheduler_process(self):
        """The one that is kept."""
        [process] = psutil.Process(self.keeper.pid).children()
        return process

    def worker(self, name, *words):
        place = str(self.folder / name)
        return self._start(
            *("worker", self.address, "--name", name, *words, "--"),
            *("--host", "127.0.0.1", "--local-directory", place),
        )

    def _start(self, *words):
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "launcher.host.keep"),
                    *("-P", "-m", "launcher", *words, "--no-dashboard"),
                ],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.stack.callback(process.wait)
        self.stack.callback(end, process.pid)
        return process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("dask"), stack)
        cluster.keeper = cluster.scheduler()
        for name in ("one", "two"):
            cluster.worker(name)
        yield cluster


def files(folder, count):
    return [str(folder / str(number)) for number in range(count)]


def test_workers_are_renewed_after_some_tasks_and_no_task_is_lost_or_done_twice(cluster, tmp_path):
    noted = files(tmp_path, 14)
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(cluster.address, patience=30, renew_after=4)) as executor,
    ):
        until(lambda: executor.workers == 2, 30)
        done = list(executor.run(tasks.note_slowly, noted))
        until(lambda: any(log["event"] == "worker joined the cluster" for log in logs), 30)

    assert sorted(each.task for each in done) == sorted(noted)
    assert {(tmp_path / str(n)).read_text() for n in range(14)} == {"x"}
    assert len({each.value for each in done}) > 2
    assert max(sum(each.value == pid for each in done) for pid in {d.value for d in done}) <= 5
    assert "renewed" in {log.get("why") for log in logs}
    assert "worker lost; what it ran is done again on others" not in {log["event"] for log in logs}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """With one worker; the first who uses it finds one that has just started."""
    with ExitStack() as stack:
        alone = Cluster(tmp_path_factory.mktemp("alone"), stack)
        alone.scheduler()
        alone.worker("only", "--memory-limit", "1GiB")
        yield alone


def test_a_worker_at_rest_is_renewed_early_and_imports_what_the_former_one_had(alone, tmp_path):
    trees = ["models.estimators.ml_rf"]
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(alone.address, patience=30, renew_after=9)) as executor,
    ):
        list(executor.run(tasks.note, files(tmp_path, 4)))
        [before] = executor.run(tasks.had_imported, trees)
        until(lambda: any(log["event"] == "worker joined the cluster" for log in logs), 60)
        [after] = executor.run(tasks.had_imported, trees)

    assert {log["why"] for log in logs if "why" in log} == {"renewed"}
    assert (before.value, after.value) == (False, True)


def test_the_only_worker_is_renewed_while_tasks_send_their_files(alone, tmp_path):
    """Results that nobody else could keep must not keep it from leaving."""
    noted = files(tmp_path, 12)
    with closing(connect(alone.address, patience=30, renew_after=4)) as executor:
        done = list(executor.run(tasks.compute_and_send, noted, deadline=time.monotonic() + 90))

    assert sorted(each.task for each in done) == sorted(noted)
    assert {Path(name).read_text() for name in noted} == {"x"}
    assert len({each.value[0] for each in done}) > 1


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_leaves_does_not_come_back(tmp_path):
    noted = files(tmp_path, 2)
    with ExitStack() as stack:
        own = Cluster(tmp_path, stack)
        own.scheduler()
        keepers = {name: own.worker(name) for name in ("one", "two")}
        executor = stack.enter_context(closing(connect(own.address, patience=30)))
        until(lambda: executor.workers == 2, 30)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        run = pool.submit(lambda: list(executor.run(tasks.note_for_long, noted)))
        until(lambda: all(Path(name).exists() for name in noted), 30)
        leaver = next(each for each in look(own.address, None).workers if each.name == "two")
        dismissal.tell(own.address, None, [leaver])
        until(lambda: any(each.leaving for each in look(own.address, None).workers), 10)
        for process in psutil.Process(keepers["two"].pid).children(recursive=True):
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()
        done = run.result()

        assert keepers["two"].wait(30) is not None
        assert [each.name for each in look(own.address, None).workers] == ["one"]
    assert {each.error for each in done} == {None}


def test_a_worker_that_did_more_tasks_before_the_setting_was_lowered_is_renewed(cluster, tmp_path):
    with closing(connect(cluster.address, patience=30)) as executor:
        until(lambda: executor.workers == 2, 30)
        list(executor.run(tasks.note, files(tmp_path, 8)))
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(cluster.address, patience=30, renew_after=1)) as executor,
    ):
        list(executor.run(tasks.note, files(tmp_path, 1)))
        until(lambda: "renewed" in {log.get("why") for log in logs}, 10)
        until(lambda: any(log["event"] == "worker joined the cluster" for log in logs), 30)

    assert {log["why"] for log in logs if "why" in log} == {"renewed"}


def test_a_worker_that_dies_is_in_the_log(cluster, tmp_path):
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(cluster.address, patience=30)) as executor,
    ):
        [done] = executor.run(tasks.die_once, [str(tmp_path / "marker")])

    assert done.value == "done again"
    [lost] = [log for log in logs if "worker lost" in log["event"]]
    assert (lost["running"], lost["log_level"]) == (1, "warning")


def test_a_task_that_waits_for_ever_is_done_again_by_another_process(cluster, tmp_path):
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(cluster.address, patience=30, stuck_seconds=1)) as executor,
    ):
        [done] = executor.run(tasks.wait_once, [str(tmp_path / "marker")])
        until(lambda: executor.workers == 2, 30)

    assert done.value == "done again"
    [stuck] = [log for log in logs if "waits for what does not come" in log["event"]]
    assert stuck["log_level"] == "warning"
    assert "threading.py" in stuck["where"]
    assert "wait_once" in (cluster.folder / "dask.log").read_text()


@pytest.mark.parametrize(
    ("function", "argument", "said"),
    [
        ("kill_itself", signal.SIGSEGV, "the process that computed it was killed by SIGSEGV"),
        ("leave_at_once", 9, "the process that computed it ended with exit code 9"),
        ("take", 1000, "the process that computed it was ended: it and its worker had 1,"),
    ],
)
def test_what_a_process_apart_does_not_survive_is_done_again(
    alone, tmp_path, function, argument, said
):
    task = (str(tmp_path / "marker"), function, argument)
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(alone.address, patience=30)) as executor,
    ):
        [done] = executor.run(tasks.compute_apart, [task], deadline=time.monotonic() + 60)

    assert done.value == "done again"
    [lost] = [log for log in logs if log["event"].startswith("the process of a task is lost")]
    assert lost["log_level"] == "warning"
    assert lost["why"].startswith(said)
    assert said in (alone.folder / "dask.log").read_text()


def test_a_process_apart_that_waits_for_ever_is_in_the_log_as_a_worker_is(alone, tmp_path):
    pid = tmp_path / "pid"
    task = (str(tmp_path / "marker"), "say_so_and_wait", str(pid))
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(alone.address, patience=30, stuck_seconds=1)) as executor,
    ):
        [done] = executor.run(tasks.compute_apart, [task], deadline=time.monotonic() + 60)

    assert done.value == "done again"
    [stuck] = [log for log in logs if "waits for what does not come" in log["event"]]
    assert "threading.py" in stuck["where"]
    assert "in say_so_and_wait" in (alone.folder / "dask.log").read_text()
    until(lambda: not alive(int(pid.read_text())), 10)


def test_what_nobody_waits_for_any_more_is_not_computed_to_its_end(alone, tmp_path):
    pid = tmp_path / "pid"
    task = (str(tmp_path / "marker"), "say_so_and_wait", str(pid))
    with closing(connect(alone.address, patience=30)) as executor:
        [before] = executor.run(tasks.note, files(tmp_path, 1))
        assert not list(executor.run(tasks.compute_apart, [task], deadline=time.monotonic() + 10))
        until(lambda: not alive(int(pid.read_text())), 10)
        [after] = executor.run(tasks.note, files(tmp_path, 1))

    assert before.value == after.value


def test_workers_that_are_ended_with_their_cluster_cost_no_task(tmp_path):
    """What runs goes from one to the next; Dask gives a task up when a second one dies with it."""
    with ExitStack() as stack:
        ending = Cluster(tmp_path, stack)
        ending.keeper = ending.scheduler()
        ending.worker("one")
        executor = stack.enter_context(closing(connect(ending.address, patience=30)))
        until(lambda: executor.workers == 1, 30)
        dismissal.announce_end(ending.address, None)
        (tmp_path / "deaths").mkdir()
        future = executor.link.client.submit(tasks.die_three_times, str(tmp_path / "deaths"))

        assert future.result(timeout=60) == 3


def test_a_run_goes_on_with_a_scheduler_that_was_restarted(cluster, tmp_path):
    noted, waits = files(tmp_path, 10), []
    with (
        structlog.testing.capture_logs() as logs,
        closing(
            connect(cluster.address, patience=30, steady=True, on_wait=waits.append)
        ) as executor,
    ):
        until(lambda: executor.workers == 2, 30)
        run = executor.run(tasks.note_slowly, noted)
        done = [next(run), next(run)]
        cluster.scheduler_process.kill()
        done += list(run)

    assert sorted(each.task for each in done) == sorted(noted)
    assert {each.error for each in done} == {None}
    assert waits == [AWAY, ""]
    said = [log["event"] for log in logs]
    assert said.index("scheduler lost; connecting again, and what ran is done again") < said.index(
        "scheduler is back; the batch goes on"
    )


@pytest.mark.slow
def test_a_scheduler_that_ends_soon_after_its_start_comes_back_with_its_worker(tmp_path):
    with ExitStack() as stack:
        young = Cluster(tmp_path, stack)
        young.keeper = young.scheduler()
        young.worker("only")
        with closing(connect(young.address, patience=30)) as executor:
            executor.link.client.run(os.getpid, nanny=True)  # which answers once it has started
        [first] = look(young.address, None).workers
        young.scheduler_process.terminate()
        [again] = until(lambda: _others(young.address, first), 60)
        assert again.name == first.name


def _others(address, first):
    try:
        return [worker for worker in look(address, None).workers if worker.address != first.address]
    except ClusterUnavailable:
        return []


def test_a_client_that_has_given_up_is_replaced_before_a_run_and_within_it(cluster):
    with closing(connect(cluster.address, patience=30, steady=True)) as executor:
        until(lambda: executor.workers == 2, 30)
        executor.link.client.close()
        assert executor.workers == 2
        executor.link.client.close()
        run = executor.run(tasks.double, range(8))
        done = [next(run)]
        executor.link.client.close()
        done += list(run)

    assert sorted((each.task, each.value) for each in done) == [(n, 2 * n) for n in range(8)]


def test_a_scheduler_that_is_lost_again_as_soon_as_it_is_back_is_waited_for(cluster, monkeypatch):
    opened = []

    def open_again(*words):
        opened.append(honest(*words))
        if len(opened) == 1:
            opened[0].close()
        return opened[-1]

    honest = connection._open
    with (
        structlog.testing.capture_logs() as logs,
        closing(connect(cluster.address, patience=30, steady=True)) as executor,
    ):
        monkeypatch.setattr(connection, "_open", open_again)
        run = executor.run(tasks.double, range(8))
        done = [next(run)]
        executor.link.client.close()
        done += list(run)

    assert sorted((each.task, each.value) for each in done) == [(n, 2 * n) for n in range(8)]
    assert len(opened) == 2
    assert "scheduler lost again; connecting once more" in {log["event"] for log in logs}


def test_a_result_that_is_cut_off_on_its_way_is_no_error_of_its_task(cluster, monkeypatch):
    whole, cuts = Future.result, iter([CommClosedError("in <TCP>: Stream is closed")])

    def result(future, timeout=None):
        for cut in cuts:
            raise cut
        return whole(future, timeout)

    monkeypatch.setattr(Future, "result", result)
    with closing(connect(cluster.address, patience=30)) as executor:
        [done] = executor.run(tasks.double, [4])

    assert (done.value, done.error) == (8, None)


def test_a_scheduler_that_hangs_is_given_up(cluster, monkeypatch):
    monkeypatch.setattr("launcher.cluster.link._ANSWER_SECONDS", 0.5)
    with closing(connect(cluster.address, patience=30)) as executor:
        cluster.scheduler_process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(ClusterUnavailable, match="lost the Dask scheduler"):
                executor.workers  # noqa: B018 - the question itself must raise
        finally:
            cluster.scheduler_process.send_signal(signal.SIGCONT)


def test_a_scheduler_that_is_busy_is_waited_for_and_one_that_is_not_there_is_not(
    cluster, monkeypatch
):
    monkeypatch.setattr("launcher.cluster.speaking._CONNECT_SECONDS", 1)
    cluster.scheduler_process.send_signal(signal.SIGSTOP)
    go_on = threading.Timer(4, cluster.scheduler_process.send_signal, [signal.SIGCONT])
    go_on.start()
    began = time.monotonic()
    with closing(connect(cluster.address)):
        assert time.monotonic() - began > 3
    go_on.join()

    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="does not answer as a Dask scheduler; start one"):
        connect(f"tcp://127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 10


def test_a_frozen_worker_is_shown_as_one_and_keeps_nobody_from_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.cluster.look._WORKER_SECONDS", 2)
    monkeypatch.setattr("launcher.cluster.dismissal._TELL_SECONDS", 2)
    with ExitStack() as stack:
        own = Cluster(tmp_path, stack)
        own.scheduler()
        for name in ("sound", "frozen"):
            own.worker(name)
        with closing(connect(own.address, patience=30)) as executor:
            until(lambda: executor.workers == 2, 30)
            pids = executor.link.client.run(os.getpid)
        workers = {worker.name: worker for worker in look(own.address, None).workers}
        pid = pids[workers["frozen"].address]
        os.kill(pid, signal.SIGSTOP)
        stack.callback(os.kill, pid, signal.SIGCONT)

        picture = look(own.address, None)
        with pytest.raises(ClusterUnavailable, match=r"^frozen: no answer within 2 s"):
            dismissal.tell(own.address, None, picture.workers)

        assert {w.name: w.answering for w in picture.workers} == {"sound": True, "frozen": False}
        until(lambda: [w.name for w in look(own.address, None).workers] == ["frozen"], 20)


class OfAnotherKind(socketserver.BaseRequestHandler):
    """Of 8 bytes of this Dask makes a length, of 3 EiB."""

    def handle(self):
        self.request.recv(1)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("ask", [connect, partial(look, certificates=None)])
def test_a_server_of_web_pages_does_not_answer_as_a_scheduler(ask):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OfAnotherKind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        said = f"{address} does not answer as a Dask scheduler, yet listens: it .* is no scheduler"
        with pytest.raises(ClusterUnavailable, match=said):
            ask(address)
        server.shutdown()


def test_a_port_that_accepts_and_says_nothing_is_no_scheduler():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ClusterUnavailable, match=f"{address} does not answer"):
            connect(address, patience=0.5)

    assert time.monotonic() - began < 5


def test_workers_on_loopback_may_have_a_cache_of_their_own(cluster):
    with closing(connect(cluster.address, patience=30)) as executor:
        assert executor.remote
    with closing(connect(cluster.address, patience=30, remote=False)) as executor:
        assert not executor.remote


MANY = '{"n_estimators": 20, "grid": {"max_depth": [2, 3, 4, 5, 6], "gamma": [0, 1, 2, 3, 4, 5]}}'


def test_a_batch_goes_on_when_a_model_store_that_was_away_is_back(sqlite_settings, tmp_path):
    with ExitStack() as stack, structlog.testing.capture_logs() as logs:
        first = stack.enter_context(ExitStack())
        server = first.enter_context(running_sshd(tmp_path / "sshd"))
        lab = Lab(sqlite_settings.model_copy(update=server.settings("store")), tmp_path)
        lab.load_applicants(rows=200)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        training = pool.submit(lab.train_each, [("ML-XGB", MANY)])
        until(lambda: list(server.root.rglob("*.ubj")), 30)
        first.close()
        until(
            lambda: any(log["event"] == "store connection lost; trying again" for log in logs), 30
        )
        stored = len(list(server.root.rglob("*.ubj")))
        stack.enter_context(running_sshd(tmp_path / "sshd", port=server.port))
        batch = training.result(60)

    rows = lab.rows(dc_batch_result, batch)
    assert stored < 30
    assert len(rows) == 60
    lab.store.close()
    lab.engine.dispose()
