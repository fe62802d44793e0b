import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import closing

import pytest
from distributed import Client
from distributed.security import Security

from configs.errors import BadData, BadSetting, ClusterUnavailable, Retry, WorkerLost
from configs.settings import Settings
from launcher.cli import execute
from launcher.cluster.connection import connect, differences, versions
from launcher.cluster.look import has_pages
from launcher.host.at_start import versions_at_start
from launcher.service.clusters import EmbeddedCluster, ExternalCluster, make_cluster
from launcher.service.foreground import run_one
from pipeline.executor import Done
from tests import apart_tasks, tasks
from tests.bank import dask
from tests.runs import ROOT, Runs
from tests.threads import cluster_in_threads
from tests.waiting import alive, until


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    cache = tmp_path_factory.mktemp("cache")
    cluster = EmbeddedCluster(Settings(workers=2, cache_dir=cache))
    yield cluster
    cluster.close()


@pytest.fixture
def executor(embedded):
    scheduler = embedded.scheduler()
    with closing(connect(scheduler.address, scheduler.certificates, patience=15)) as executor:
        yield executor


def test_every_task_comes_back_once(executor):
    done = list(executor.run(tasks.double, range(50)))

    assert sorted((each.task, each.value) for each in done) == [(n, 2 * n) for n in range(50)]
    assert {each.error for each in done} == {None}
    assert executor.workers == 2


def test_a_worker_computes_while_it_sends_but_never_two_tasks_at_once(executor, tmp_path):
    noted = [str(tmp_path / str(number)) for number in range(12)]

    done = [each.value for each in executor.run(tasks.compute_and_send, noted)]

    assert len(done) == 12
    for pid in {value[0] for value in done}:
        turns = sorted(value[1:] for value in done if value[0] == pid)
        pairs = list(itertools.pairwise(turns))
        assert all(ready <= began for (_, ready, _), (began, _, _) in pairs)
        assert any(began < sent for (_, _, sent), (began, _, _) in pairs)


def test_no_tasks_are_no_work(executor):
    assert list(executor.run(tasks.double, [])) == []


def test_few_tasks_are_at_the_scheduler_however_many_there_are(executor):
    run = executor.run(tasks.double, range(10_000))
    next(run)

    assert len(executor.link.client.futures) <= 6  # three a thread
    run.close()
    until(lambda: not executor.link.client.futures)


def test_a_long_pause_between_tasks_is_told(executor, monkeypatch):
    told = []
    monkeypatch.setattr(executor.link, "_on_wait", told.append)
    monkeypatch.setattr("launcher.cluster.running._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("launcher.cluster.pace._LEAST_SECONDS", 0.5)
    monkeypatch.setattr("launcher.cluster.pace._TIMES", 0)

    assert [each.value for each in executor.run(tasks.sleep, [0.01, 2])] == [0.01, 2]
    assert told == ["no task has ended for 0 minutes"]


def test_our_errors_keep_their_type_and_their_traceback(executor):
    [done] = executor.run(tasks.refuse, [7])

    assert done.value is None
    assert type(done.error) is BadData
    assert str(done.error) == "행 7: no such column"
    assert done.error.retry is Retry.NEVER
    assert "in refuse" in "".join(traceback.format_exception(done.error))


def test_a_workers_own_error_of_ours_is_no_lost_worker_to_the_executor(executor):
    [done] = executor.run(tasks.refuse_otherwise, [7])

    assert str(done.error) == "a subclass keeps its type"


@pytest.mark.parametrize("task", [apart_tasks.be_awkward, apart_tasks.leave, tasks.unreadable])
def test_whatever_a_task_does_is_an_error_of_that_task(executor, task):
    done = list(executor.run(task, [1, 2]))

    assert [each.value for each in done] == [None, None]
    assert all(isinstance(each.error, Exception) for each in done)
    assert next(executor.run(tasks.double, [1])) == Done(1, 2, None)


def test_a_worker_uses_one_core(executor):
    [done] = executor.run(tasks.start, [0])

    assert done.value["OMP_NUM_THREADS"] == done.value["MKL_NUM_THREADS"] == "1"


def test_a_worker_keeps_a_little_memory_that_it_freed(executor):
    [done] = executor.run(tasks.start, [0])

    assert done.value["MALLOC_TRIM_THRESHOLD_"] == "4194304"


def test_at_the_deadline_it_returns_with_what_is_done(executor):
    deadline = time.monotonic() + 0.6
    done = list(executor.run(tasks.sleep, [0.01, 1.5, 1.5, 1.5], deadline=deadline))

    assert [each.value for each in done] == [0.01]


def test_closing_early_cancels_what_has_not_begun(executor, tmp_path):
    begun = [str(tmp_path / str(number)) for number in range(40)]
    run = executor.run(tasks.note, begun)
    next(run)
    run.close()

    assert list(executor.run(tasks.double, [1])) == [Done(1, 2, None)]
    assert len(list(tmp_path.iterdir())) <= 6


def test_a_task_whose_worker_dies_is_done_again(executor, tmp_path):
    [done] = executor.run(tasks.die_once, [str(tmp_path / "marker")])

    assert done.value == "done again"


def test_a_task_that_kills_its_workers_is_lost_and_takes_no_other_with_it(executor):
    done = {each.task: each for each in executor.run(tasks.die_if_three, range(6))}

    assert type(done[3].error) is WorkerLost
    assert "memory" in str(done[3].error)
    assert {task: each.value for task, each in done.items() if task != 3} == {
        n: n for n in range(6) if n != 3
    }


def test_nobody_without_the_certificates_gets_in(embedded):
    address = embedded.scheduler().address

    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises(ClusterUnavailable, match=r"yet listens: .* speaks tls://$"):
        connect(address.replace("tls", "tcp"), patience=1)
    other = Security.temporary().get_tls_config_for_role("client")
    strange = {"ca": other["ca_file"], "cert": other["cert"], "key": other["key"]}
    with pytest.raises(ClusterUnavailable, match=r"yet listens: .* has other certificates"):
        connect(address, strange, patience=1)


# Dask's own, of a connection that the dead scheduler refused.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_killed_cluster_ends_the_run_and_another_is_started(embedded):
    scheduler = embedded.scheduler()
    with closing(connect(scheduler.address, scheduler.certificates, patience=15)) as executor:
        run = executor.run(tasks.sleep, [0.01, 60, 60])
        next(run)
        embedded._process.kill()
        with pytest.raises(ClusterUnavailable):
            next(run)
        with pytest.raises(ClusterUnavailable):
            executor.workers  # noqa: B018 - the question itself must raise

    again = embedded.scheduler()
    assert again.address != scheduler.address
    with closing(connect(again.address, again.certificates, patience=15)) as executor:
        assert next(executor.run(tasks.double, [1])).value == 2


def test_a_launcher_s_own_cluster_alone_is_embedded_whatever_it_speaks(embedded):
    own = embedded.scheduler()
    other = ExternalCluster("tls://10.0.0.1:8786", lambda: own.certificates).scheduler()

    assert (own.embedded, other.embedded) == (True, False)


def test_a_cluster_that_is_busy_is_waited_for_although_it_speaks_tls(embedded, monkeypatch):
    monkeypatch.setattr("launcher.cluster.speaking._CONNECT_SECONDS", 1)
    found = embedded.scheduler()
    pid = embedded._process.pid
    os.kill(pid, signal.SIGSTOP)
    go_on = threading.Timer(2.5, os.kill, [pid, signal.SIGCONT])
    go_on.start()
    began = time.monotonic()
    try:
        with closing(connect(found.address, found.certificates)):
            assert time.monotonic() - began > 2
    finally:
        go_on.join()


LAUNCHER = """
import sys, time
from pathlib import Path
from configs import logs
from configs.settings import Settings
from launcher.cluster.connection import connect
from launcher.service.foreground import run_one
from launcher.service.clusters import EmbeddedCluster
from tests import tasks
settings = Settings(workers=1, cache_dir=Path(sys.argv[1]))
logs.configure(settings)
cluster = EmbeddedCluster(settings)
scheduler = cluster.scheduler()
executor = connect(scheduler.address, scheduler.certificates, patience=15)
print(cluster._process.pid, next(executor.run(tasks.note, [sys.argv[1] + "/x"])).value, flush=True)
time.sleep(600)
"""


def test_the_cluster_dies_with_its_launcher(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-P", "-c", LAUNCHER, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as launcher:
        cluster, worker = map(int, launcher.stdout.readline().split())
        assert alive(cluster)
        assert alive(worker)
        launcher.kill()

    until(lambda: not alive(cluster) and not alive(worker), seconds=10)


def test_a_service_manager_that_signals_every_process_does_not_stop_the_cluster(embedded):
    embedded.scheduler()
    os.kill(embedded._process.pid, signal.SIGTERM)
    scheduler = embedded.scheduler()

    with closing(connect(scheduler.address, scheduler.certificates, patience=15)) as executor:
        assert next(executor.run(tasks.double, [1])).value == 2
    assert embedded._process.poll() is None


@pytest.fixture
def empty_scheduler():
    with cluster_in_threads() as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_without_workers_is_said_to_have_none(empty_scheduler):
    with pytest.raises(ClusterUnavailable, match="has no workers"):
        connect(empty_scheduler, patience=0.3)


def test_status_without_hosts_is_that_of_the_scheduler_in_the_settings(
    empty_scheduler, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    assert execute(["--set", f"scheduler={empty_scheduler}", "cluster", "status"]) == 0
    shown = capsys.readouterr()
    assert f"scheduler  {empty_scheduler}\ndashboard  none\n" in shown.out
    assert "the scheduler has no workers" in shown.out + shown.err
    assert execute(["--set", "scheduler=tcp://127.0.0.1:9", "cluster", "status"]) == 1
    assert "tcp://127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert execute(["cluster", "status"]) != 0
    assert "no hosts are configured" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "/proxy/8787/status", "http://[::1]:9/status"])
def test_a_dashboard_that_cannot_be_reached_from_here_may_be_there(address):
    assert has_pages(address) == bool(address)


def test_a_scheduler_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ClusterUnavailable, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        connect("tcp://127.0.0.1:9", patience=0.3)


def test_an_address_that_is_none_is_a_bad_setting():
    with pytest.raises(BadSetting, match="scheduler: 8786"):
        connect("8786x://y", patience=0.3)


def test_differences_of_versions_are_named():
    here = {"python": "3.11", "xgboost": "3.2.0", "torch": "2.13.0"}

    assert differences(here, here) == []
    assert differences(here, {"python": "3.12", "xgboost": "3.2.0", "dask": "1"}) == [
        "dask 1 in place of none",
        "python 3.12 in place of 3.11",
        "torch missing in place of 2.13.0",
    ]
    assert differences(here | {"torch": "2.13.0+cpu"}, here | {"torch": "2.13.0+cu130"}) == []
    assert versions()["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"dask", "distributed", "xgboost", "torch", "scikit-learn"} <= versions().keys()


def test_a_version_installed_under_running_processes_is_not_taken_for_theirs(tmp_path):
    installed = tmp_path / "deepcredit.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text("Metadata-Version: 2.1\nName: deepcredit\nVersion: 0.0.1\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    with (
        dask(tmp_path, env, workers=1) as address,
        Client(address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        installed.unlink()  # from now on it is that of all others which is found

        with pytest.raises(ClusterUnavailable, match=r"deepcredit 0\.0\.1 in place of"):
            connect(address)
        assert client.run_on_scheduler(versions_at_start)["deepcredit"] == "0.0.1"


def test_processes_that_lack_what_we_ask_them_are_refused_as_those_of_another_version(tmp_path):
    lacks = "import sys; sys.modules['launcher.host.at_start'] = None"
    (tmp_path / "sitecustomize.py").write_text(lacks)
    preload = {f"DASK_DISTRIBUTED__{name}__PRELOAD": "[]" for name in ("SCHEDULER", "WORKER")}
    env = os.environ | {"PYTHONPATH": str(tmp_path)} | preload
    with (
        dask(tmp_path, env, workers=1) as address,
        pytest.raises(ClusterUnavailable, match="; install the same version"),
    ):
        connect(address)


def test_the_settings_choose_the_cluster():
    assert isinstance(make_cluster(Settings()), EmbeddedCluster)
    external = make_cluster(Settings(scheduler="tcp://host:8786"))
    assert isinstance(external, ExternalCluster)
    assert external.scheduler().address == "tcp://host:8786"


def test_a_real_child_tells_what_is_wrong_with_its_batch(
    embedded, mariadb_settings, tmp_path, monkeypatch
):
    password = mariadb_settings.database_password.get_secret_value()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", password)
    monkeypatch.chdir(tmp_path)  # it finds our packages from anywhere
    runs = Runs(mariadb_settings, tmp_path)
    batch_id = runs.add(mode="없는 모드")

    assert not run_one(mariadb_settings, "B", batch_id, cluster=Lent(embedded))
    row = runs.row(batch_id)
    assert (row.error_class, row.run_after) == ("NotFound", None)
    assert "없는 모드" in row.error_text
    runs.engine.dispose()


class Lent:
    """The embedded cluster of these tests, which a daemon must not close."""

    def __init__(self, cluster):
        self.scheduler = cluster.scheduler
        self.answers = cluster.answers

    def close(self):
        pass


def test_a_batch_without_a_cluster_is_given_back(sqlite_settings, tmp_path):
    (tmp_path / "file").touch()
    settings = sqlite_settings.model_copy(update={"cache_dir": tmp_path / "file"})
    runs = Runs(settings, tmp_path)
    batch_id = runs.add()

    assert not run_one(settings, "B", batch_id)
    row = runs.row(batch_id)
    assert (row.state, row.attempt) == ("I", 0)
    assert runs.outcomes(batch_id) == [("I", "ClusterAway")]
    runs.engine.dispose()


def test_a_batch_without_a_scheduler_is_given_back(sqlite_settings, tmp_path):
    runs = Runs(sqlite_settings, tmp_path)
    batch_id = runs.add()

    nowhere = ExternalCluster("tcp://127.0.0.1:9")
    assert not run_one(sqlite_settings, "B", batch_id, cluster=nowhere)
    row = runs.row(batch_id)
    assert (row.state, row.attempt) == ("I", 0)
    assert runs.outcomes(batch_id) == [("I", "ClusterAway")]
    runs.engine.dispose()
