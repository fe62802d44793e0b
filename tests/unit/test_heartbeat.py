import pytest

from configs.settings import Settings
from launcher.service.heartbeat import Rhythm, interval_of, latest, patience_of


@pytest.mark.parametrize("lease", [0.8, 8, 120, 600, 3600])
def test_a_cancel_is_seen_within_15_seconds_and_a_lease_has_eight_beats(lease: float) -> None:
    assert 0 < interval_of(lease) <= min(15, lease / 8)


def test_beats_come_every_15_seconds_unless_told_otherwise() -> None:
    assert interval_of(Settings().lease_seconds) == 15


def test_an_answer_may_take_an_interval_and_five_seconds_at_least() -> None:
    assert [patience_of(lease) for lease in (8, 80, 120, 600)] == [5, 10, 15, 15]


def test_who_is_silent_for_two_intervals_is_late() -> None:
    assert [latest(lease) for lease in (8, 120, 600)] == [2, 30, 30]


def falls_due(rhythm: Rhythm, least: float, most: float) -> bool:
    return not rhythm.is_due(least - 0.01) and rhythm.is_due(most)


def test_beats_come_at_an_interval_and_one_that_failed_again_soon_then_later_and_later() -> None:
    rhythm = Rhythm(80.0, 0.0)  # so that a beat comes every 10 s
    assert falls_due(rhythm, 8, 10)

    now = 100.0
    for pause in (10 / 16, 10 / 8, 10 / 4, 10 / 2, 10, 10):
        rhythm.beaten(now, answered=False)
        assert falls_due(rhythm, now + 0.8 * pause, now + pause)
        now += 100
    rhythm.beaten(now, answered=True)
    assert falls_due(rhythm, now + 8, now + 10)
    rhythm.beaten(now, answered=False)
    assert falls_due(rhythm, now + 0.8 * 10 / 16, now + 10 / 16)


def test_between_beats_one_looks_for_news_every_two_seconds() -> None:
    rhythm = Rhythm(80.0, 0.0)

    assert rhythm.rest(0.0) == 2
    assert 0 <= rhythm.rest(8.0) <= 2
    assert rhythm.rest(10.0) == rhythm.rest(50.0) == 0
