"""What a batch's own process does around the work: its ways out, what it reports, its cluster."""

from types import SimpleNamespace

import pytest

from configs.errors import BadData, ClusterAway, ClusterUnavailable, DeepCreditError, WorkerLost
from configs.settings import without_secrets
from launcher.service import child_main
from pipeline import mode
from pipeline.messages import Job, Progress
from storage.artifacts.opening import SFTP
from storage.records import Claim


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

    def connect(*words, **named):
        found.append((words, named))
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(child_main, "connect", connect)
    return found


@pytest.mark.parametrize("embedded", [True, False])
def test_a_cluster_of_others_is_far_away_and_expected_back(job, connected, monkeypatch, embedded):
    monkeypatch.setattr(child_main, "execute", lambda *_, **__: "a summary")

    assert child_main._run(job(embedded=embedded, worker_tasks=7), None) == "a summary"
    away = {"remote": not embedded, "steady": not embedded}
    assert connected == [(("tcp://127.0.0.1:1", {"ca": "x"}), away | {"renew_after": 7})]


@pytest.mark.parametrize(("embedded", "told"), [(False, ClusterAway), (True, WorkerLost)])
def test_a_cluster_of_others_that_cannot_be_reached_costs_no_attempt(
    job, monkeypatch, embedded, told
):
    def connect(*_, **__):
        raise ClusterUnavailable("nobody is there")

    monkeypatch.setattr(child_main, "connect", connect)
    with pytest.raises(DeepCreditError, match="nobody is there") as caught:
        child_main._run(job(embedded=embedded), None)
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
        child_main._run(job(embedded=embedded), None)
    assert type(caught.value) is told


def test_of_many_reports_two_a_second_are_sent_and_all_of_the_first(monkeypatch):
    now, sent = [100.0], []
    monkeypatch.setattr(child_main, "time", SimpleNamespace(monotonic=lambda: now[0]))
    report = child_main._reporter(sent.append)

    for note in ("reading", "splitting"):
        report(0.0, note)
    for _ in range(1000):
        now[0] += 0.01
        report(0.5, "models")

    assert sent[:2] == [Progress(0.0, "reading"), Progress(0.0, "splitting")]
    assert 18 <= len(sent[2:]) <= 20


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
