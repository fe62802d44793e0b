"""What a batch's own process does around the work: its ways out, what it reports, its cluster."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from configs.errors import (
    BadData,
    ClusterAway,
    ClusterUnavailable,
    DeepCreditError,
    Retry,
    WorkerLost,
)
from configs.settings import load, without_secrets
from launcher.host.stuck import STUCK
from launcher.service import child_main
from launcher.service.child_main import Reporter
from pipeline import mode
from pipeline.messages import Failed, Job, Progress, decode, encode
from storage.artifacts.opening import SFTP
from storage.records import Claim
from tests.bank import ROOT


@pytest.fixture
def job(settings):
    def make(*, embedded=True, **named):
        return Job(
            claim=Claim(batch_id=1, claim_id="c", fence=1, attempt=1),
            scheduler="tcp://127.0.0.1:1",
            settings=without_secrets(settings(**named)),
            certificates={"ca": "x"},
            embedded=embedded,
        )

    return make


@pytest.fixture
def connected(monkeypatch):
    """With what the process has connected to its cluster."""
    found = []

    def connect(*words, on_wait, **named):
        assert on_wait.__func__ is Reporter.waits
        found.append((words, named))
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(child_main, "connect", connect)
    return found


def ran(job):
    return child_main._run(job, load(job.settings, environ={}), Reporter(lambda _: None))


@pytest.mark.parametrize("embedded", [True, False])
def test_a_cluster_of_others_is_far_away_and_expected_back(job, connected, monkeypatch, embedded):
    monkeypatch.setattr(child_main, "execute", lambda *_, **__: "a summary")

    assert ran(job(embedded=embedded, worker_tasks=7, stuck_seconds=80)) == "a summary"
    away = {"remote": not embedded, "steady": not embedded}
    assert connected == [
        (("tcp://127.0.0.1:1", {"ca": "x"}), away | {"renew_after": 7, "stuck_seconds": 80.0})
    ]


@pytest.mark.parametrize(("embedded", "told"), [(False, ClusterAway), (True, WorkerLost)])
def test_a_cluster_of_others_that_cannot_be_reached_costs_no_attempt(
    job, monkeypatch, embedded, told
):
    def connect(*_, **__):
        raise ClusterUnavailable("nobody is there")

    monkeypatch.setattr(child_main, "connect", connect)
    with pytest.raises(DeepCreditError, match="nobody is there") as caught:
        ran(job(embedded=embedded))
    assert type(caught.value) is told


@pytest.mark.parametrize(
    ("embedded", "error", "told"),
    [
        (True, ClusterUnavailable("lost"), WorkerLost),
        (False, ClusterUnavailable("lost"), ClusterUnavailable),
        (True, BadData("no rows"), BadData),
    ],
)
def test_a_cluster_that_is_lost_is_to_be_started_anew_if_it_is_the_launcher_s(
    job, connected, monkeypatch, embedded, error, told
):
    def execute(*_, **__):
        raise error

    monkeypatch.setattr(child_main, "execute", execute)
    with pytest.raises(told, match=str(error)) as caught:
        ran(job(embedded=embedded))
    assert type(caught.value) is told


def test_the_last_of_many_reports_is_sent_too():
    sent = []
    report = Reporter(sent.append)

    for ended in (10, 11, 12):
        report(0.99, f"{ended} of 12 models")
    report(0.99, "writing the results")

    notes = ["10 of 12 models", "11 of 12 models", "12 of 12 models", "writing the results"]
    assert sent == [Progress(0.99, note) for note in notes]


def test_what_a_batch_waits_for_stands_in_the_place_of_the_time_left():
    sent = []
    report = Reporter(sent.append)

    report.waits("the scheduler is away")
    report(0.5, "6 of 12 models, about 51 s left, last 101/6")
    report.waits("the scheduler is away")
    report.waits("")

    assert [(told.fraction, told.note) for told in sent] == [
        (0.0, "the scheduler is away"),
        (0.5, "6 of 12 models, about 51 s left, last 101/6"),
        (0.5, "6 of 12 models, but the scheduler is away"),
        (0.5, "6 of 12 models, about 51 s left, last 101/6"),
    ]


def test_a_mode_that_cannot_be_imported_keeps_no_child_from_being_ready(monkeypatch):
    tried = []

    def find(name):
        tried.append(name)
        raise SyntaxError(name)

    monkeypatch.setattr(mode, "available", lambda: ["one", "two"])
    monkeypatch.setattr(mode, "find", find)
    monkeypatch.setattr("configs.plugins.load", find)
    child_main.warm_up()

    assert tried == ["one", "two", SFTP]


WAITS = """
import threading
from types import SimpleNamespace
from launcher.host.stuck import watched
from launcher.service import child_main
from launcher.service.child_main import Reporter

def a_mode(*_, **__):
    threading.Event().wait()

child_main.connect = lambda *_, **__: SimpleNamespace(close=lambda: None)
child_main.execute = a_mode
child_main.watched = lambda seconds, tell: watched(seconds / 60, tell)
child_main.main()
"""


def test_a_batch_that_waits_for_ever_fails_and_says_where_it_stood(job):
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(encode(job(stuck_seconds=60)))
        process.stdin.flush()
        said = decode(process.stdout.readline())
        assert process.wait(30) == STUCK

    assert isinstance(said, Failed)
    assert (said.error_class, said.retry) == ("Stuck", Retry.LATER)
    assert "has waited for 60 s" in said.error_text
    assert "DEEPCREDIT_STUCK_SECONDS" in said.error_text
    assert "in a_mode\n" in said.traceback
