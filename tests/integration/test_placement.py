"""Tasks on real Dask workers that declare cores, memory and a card."""

import time
from contextlib import closing
from dataclasses import dataclass, field

import pytest
import structlog
import torch
from distributed import Scheduler, SpecCluster, Worker, get_worker
from sqlalchemy import select

from configs.errors import NotEnoughMemory
from launcher.cluster.connection import connect
from models import devices
from models.estimators.dl_dnn import DenseNetwork
from pipeline import placing
from pipeline.ensembles import pictures, ranges
from pipeline.executor import Need
from storage.schema import dc_batch_result, dc_model
from tests import tasks
from tests.lab import Lab
from tests.waiting import until

CORE = {"CPU": 1, "MEMORY": 1000}
CARD = {"GPU": 1, "MEMORY": 4000}
LARGE = {"CPU": 1, "MEMORY": 4000}


def cluster_of(**workers):
    """Workers of this very process, by name: (threads, resources) and maybe an address."""
    return SpecCluster(
        scheduler={
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "protocol": "tcp",
                "dashboard": False,
                "dashboard_address": "127.0.0.1:0",
            },
        },
        workers={
            name: {
                "cls": Worker,
                "options": {
                    "nthreads": threads,
                    "resources": resources,
                    "host": host[0] if host else None,
                },
            }
            for name, (threads, resources, *host) in workers.items()
        },
        silence_logs=True,
    )


@pytest.fixture(scope="module")
def executor():
    with (
        cluster_of(core=(1, CORE), other=(1, CORE), card=(4, CARD)) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
    ):
        yield executor


def run(executor, needs, seconds=0.1):
    """(need, worker, began, ended) of tasks that take so long."""
    given = dict(enumerate(needs))
    done = executor.run(
        tasks.where_is, [(n, seconds) for n in given], need=lambda task: given[task[0]]
    )
    return [(given[each.task[0]], *each.value) for each in done]


def most_at_once(spans):
    return max(sum(b <= at < e for _, _, b, e in spans) for _, _, at, _ in spans)


def test_small_fits_share_a_card_and_others_keep_off_it(executor):
    spans = run(executor, [Need(gpu=0.25)] * 8 + [Need()] * 4)
    on_card = [span for span in spans if span[0].gpu]

    assert {span[1] for span in on_card} == {"card"}
    assert {span[1] for span in spans if not span[0].gpu} == {"core", "other"}
    assert 2 <= most_at_once(on_card) <= 4


def test_half_cards_go_two_at_a_time_and_whole_ones_alone(executor):
    assert most_at_once(run(executor, [Need(gpu=0.5)] * 4)) <= 2
    assert most_at_once(run(executor, [Need(gpu=1.0)] * 3)) == 1


def test_memory_keeps_tasks_from_running_beside_each_other(executor):
    spans = run(executor, [Need(gpu=0.25, memory_mb=1900)] * 4)

    assert most_at_once(spans) == 2


def test_a_task_that_can_never_fit_is_its_own_error(executor):
    needs = {1: Need(memory_mb=100), 2: Need(memory_mb=50_000), 3: Need(gpu=1.0)}
    done = {d.task: d for d in executor.run(tasks.double, [1, 2, 3], need=needs.__getitem__)}

    assert (done[1].value, done[3].value) == (2, 6)
    assert isinstance(done[2].error, NotEnoughMemory)
    assert "50,000 MB, and no worker has more than 4,000 MB" in str(done[2].error)


def test_a_fit_too_large_for_the_worker_with_the_card_goes_to_another_and_the_log_says_so():
    with (
        cluster_of(
            core=(1, CORE), large=(1, LARGE), card=(4, {"GPU": 1, "MEMORY": 2000})
        ) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
        structlog.testing.capture_logs() as logs,
    ):
        until(lambda: executor.workers == 6, 15)
        spans = run(executor, [Need(gpu=0.25, memory_mb=3000), Need(gpu=0.25, memory_mb=100)])

    assert [span[1] for span in sorted(spans, key=lambda span: span[0].memory_mb)] == [
        "card",
        "large",
    ]
    [said] = [log for log in logs if "needs_mb" in log]
    assert (said["log_level"], said["needs_mb"]) == ("warning", 3000)


@dataclass(frozen=True, kw_only=True)
class Task(placing.Task):
    settings: str = ""
    need: Need = field(default_factory=Need)
    marker: str
    number: int

    @property
    def label(self) -> str:
        return f"task {self.number}"


@pytest.fixture(scope="module")
def two_hosts():
    with (
        cluster_of(
            one=(1, CORE, "127.0.0.1"), two=(1, CORE, "127.0.0.2"), three=(1, CORE, "127.0.0.2")
        ) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
    ):
        until(lambda: executor.workers == 3, 15)
        yield executor


@pytest.mark.parametrize("count", [1, 20])
def test_a_task_that_came_to_an_unfit_host_is_done_on_another_one(two_hosts, tmp_path, count):
    given = [Task(marker=str(tmp_path / "unfit"), number=number) for number in range(count)]
    with structlog.testing.capture_logs() as logs:
        done = list(placing.run(two_hosts, tasks.be_unfit_where_it_came_first, given, tag=""))

    assert len(done) == count
    unfit = (tmp_path / "unfit").read_text()
    assert {each.value for each in done} == two_hosts.hosts - {unfit}
    assert len(two_hosts.hosts) == 2
    assert len([log for log in logs if "said" in log]) == 1


def test_idle_workers_of_a_host_that_is_avoided_take_nothing_from_busy_ones(two_hosts):
    away = Need(avoid=frozenset({"127.0.0.2"}))
    run(two_hosts, [away], seconds=0.2)  # Dask moves tasks whose length it can guess

    assert {span[1] for span in run(two_hosts, [away] * 8, seconds=0.2)} == {"one"}


def test_a_worker_that_is_away_for_a_moment_is_waited_for(monkeypatch):
    monkeypatch.setattr("launcher.cluster.running._LOOK_SECONDS", 0.05)
    given = [*((n, 0.2) for n in range(8)), (8, 0.0)]
    with (
        cluster_of(core=(1, CORE)) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
    ):

        async def large():
            return await Worker(cluster.scheduler_address, nthreads=1, resources=LARGE)

        worker = cluster.sync(large)
        until(lambda: executor.workers == 2, 15)
        run = executor.run(
            tasks.where_is, given, need=lambda task: Need(memory_mb=3000 if task[0] == 8 else 10)
        )
        done = [next(run)]
        cluster.sync(worker.close)
        done += [next(run) for _ in given[2:]]
        assert {each.error for each in done} == {None}
        again = cluster.sync(large)
        done += run
        cluster.sync(again.close)

    assert sorted(each.task for each in done) == given
    assert {each.error for each in done} == {None}


def test_a_task_that_prefers_a_worker_goes_elsewhere_when_that_one_has_left():
    given = [(number, 0.2) for number in range(6)]
    with (
        cluster_of(card=(1, {"GPU": 1})) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
    ):

        async def plain():
            return await Worker(cluster.scheduler_address, nthreads=1)

        worker = cluster.sync(plain)
        until(lambda: executor.workers == 2, 15)
        run = executor.run(tasks.where_is, given, deadline=time.monotonic() + 30)
        done = [next(run)]
        cluster.sync(worker.close)
        done += run

    assert sorted(each.task for each in done) == given
    assert {each.error for each in done} == {None}


def test_what_nobody_declares_is_done_without_and_said_once(executor):
    with structlog.testing.capture_logs() as logs:
        done = list(executor.run(tasks.double, range(6), need=lambda _: Need(tag="large")))

    assert sorted(each.value for each in done) == [0, 2, 4, 6, 8, 10]
    assert [log["resource"] for log in logs if "resource" in log] == ["large"]


def test_the_ensembles_of_a_batch_with_a_tag_are_tried_where_it_is_declared(
    sqlite_settings, tmp_path, monkeypatch
):
    seen = []
    honest = ranges.count_range

    def count_range(*arguments, **named):
        seen.append(get_worker().name)
        return honest(*arguments, **named)

    monkeypatch.setattr(ranges, "count_range", count_range)
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    lab = Lab(sqlite_settings, tmp_path)
    lab.list_models("C001", [(lab.make_up(1), 1, 1)])
    with (
        cluster_of(plain=(1, CORE), other=(1, CORE), tagged=(1, CORE | {"large": 1})) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as lab.executor,
    ):
        until(lambda: lab.executor.workers == 3, 15)
        lab.ensemble({"ensembles": 100_000, "members": 1, "rounds": 1}, need_tag="large")

    assert seen == ["tagged"] * 10
    lab.engine.dispose()


def test_without_declared_resources_everything_still_runs():
    with (
        cluster_of(plain=(2, {})) as cluster,
        closing(connect(cluster.scheduler_address, patience=15)) as executor,
    ):
        spans = run(executor, [Need(gpu=0.25, memory_mb=10), Need(memory_mb=10)])

    assert {span[1] for span in spans} == {"plain"}


def test_a_fit_that_finds_its_card_full_is_done_alone_then_on_the_cpu(
    executor, sqlite_settings, tmp_path, monkeypatch
):
    tried = []
    honest = DenseNetwork.fit

    def fit(self, *arguments, **named):
        tried.append(self.device)
        if self.device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return honest(self, *arguments, **named)

    monkeypatch.setattr(DenseNetwork, "fit", fit)
    monkeypatch.setattr(devices, "best", lambda card: "cpu" if card is None else "cuda")
    lab = Lab(sqlite_settings, tmp_path)
    lab.load_applicants(rows=200)
    lab.executor = executor
    with structlog.testing.capture_logs() as logs:
        batch = lab.train_each(
            [
                ("DL-DNN", '{"max_epochs": 1, "hidden_units": 4000}'),
                ("ML-RF", '{"n_estimators": 2}'),
            ]
        )

    assert tried == ["cuda", "cuda", "cpu"]
    rows = {row[0]: row for row in lab.rows(dc_batch_result, batch)}
    names = [c.name for c in dc_batch_result.c if c.name not in ("batch_id", "created_at")]
    notes = {no: dict(zip(names, row, strict=True)) for no, row in rows.items()}
    assert (notes[1]["state"], notes[2]["note"]) == ("C", None)
    with lab.engine.connect() as connection:
        assert set(connection.scalars(select(dc_model.c.device))) == {"cpu"}
    assert notes[1]["note"] == "no memory left on a card of its own: done on the CPU"
    full = [log for log in logs if log["event"] == "card full"]
    assert [log["task"] for log in full] == ["DL-DNN 1/1", "DL-DNN 1/1"]
    assert "Tried to allocate" in full[0]["said"]
    lab.engine.dispose()
