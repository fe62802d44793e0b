"""Single beats, by a clock that tests set."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from launcher.service import heartbeat as heartbeats
from launcher.service.heartbeat import Heartbeat
from pipeline.messages import Progress
from storage import claims
from tests.runs import Runs

LEASE = 600.0


class Beating(Heartbeat):
    """Of a claim that was sent at 1000 s; a beat takes as long as is told."""

    def __init__(self, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.takes = 1100.0, 0.0
        self.errors: list[Exception] = []
        self.answers = 0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(heartbeats, "time", clock)
        monkeypatch.setattr(heartbeats, "claims", SimpleNamespace(beat=self._slowly))
        claim = claims.claim_of(runs.claim(lease=LEASE))
        named = {"lease_seconds": LEASE, "claimed_at": 1000.0, "answered": self._count}
        super().__init__(runs.engine, claim, **named)

    def _slowly(self, *words, **named):
        self.now += self.takes
        if self.errors:
            raise self.errors.pop()
        return claims.beat(*words, **named)

    def _count(self) -> None:
        self.answers += 1


@pytest.fixture
def runs(sqlite_settings, tmp_path):
    runs = Runs(sqlite_settings, tmp_path)
    runs.add()
    yield runs
    runs.engine.dispose()


@pytest.fixture
def beating(runs, monkeypatch):
    return Beating(runs, monkeypatch)


def test_a_lease_counts_from_before_it_was_asked_for(beating):
    assert beating.pulse.lease_left() == 500

    beating.takes = 40.0
    assert beating._beat()
    assert beating.pulse.lease_left() == LEASE - 40
    assert beating.answers == 1


@pytest.mark.parametrize("error", [OSError("away"), RuntimeError("a fault of ours")])
def test_whatever_makes_a_beat_fail_the_next_may_renew_the_lease(beating, error):
    beating.errors.append(error)
    assert not beating._beat()
    assert (beating.pulse.failing, beating.pulse.lease_left()) == (True, 500)
    assert (beating.pulse.lost, beating.answers) == (False, 0)

    assert beating._beat()
    assert (beating.pulse.failing, beating.pulse.lease_left()) == (False, LEASE)


def test_a_batch_that_was_taken_is_lost_and_its_lease_is_not_longer(runs, beating):
    runs.sql("UPDATE dc_batch SET state = 'I', claim_id = NULL")

    assert beating._beat()
    assert (beating.pulse.lost, beating.pulse.lease_left(), beating.answers) == (True, 500, 1)


def test_news_are_written_once_and_wait_for_a_database_that_is_away(beating):
    assert not beating._has_news
    beating.progress(Progress(0.5, "half"))
    assert beating._has_news
    beating.errors.append(OSError("away"))
    beating._beat()
    assert not beating._has_news

    beating._beat()
    assert not beating._has_news
    beating.progress(Progress(0.6, "more"))
    assert beating._has_news


def test_news_that_come_during_a_beat_are_written_by_the_next(beating, monkeypatch):
    beating.progress(Progress(0.5, "half"))

    def meanwhile(*words, **named):
        beating.progress(Progress(0.6, "more"))
        return claims.beat(*words, **named)

    monkeypatch.setattr(heartbeats, "claims", SimpleNamespace(beat=meanwhile))
    beating._beat()

    assert beating._has_news


def test_a_failure_is_told_once_and_a_lock_whenever_it_begins(beating, monkeypatch):
    monkeypatch.setattr(heartbeats, "stayed_locked", lambda error: str(error) == "locked")
    with capture_logs() as said:
        for words in ("away", "away", "locked", "locked", None, "locked"):
            if words is not None:
                beating.errors.append(OSError(words))
            beating._beat()

    lock = "row 1 of dc_batch is locked by another transaction"
    told = [(each["event"].partition(";")[0], each.get("error", "")[: len(lock)]) for each in said]
    assert told == [
        ("heartbeat failed", "away"),
        ("heartbeat failed", lock),
        ("heartbeat goes on", ""),
        ("heartbeat failed", lock),
    ]
