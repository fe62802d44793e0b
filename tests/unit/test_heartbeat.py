import pytest

from configs.settings import Settings
from launcher.service.heartbeat import interval_of, latest, patience_of


@pytest.mark.parametrize("lease", [0.8, 8, 120, 600, 3600])
def test_a_cancel_is_seen_within_15_seconds_and_a_lease_has_eight_beats(lease: float) -> None:
    assert 0 < interval_of(lease) <= min(15, lease / 8)


def test_beats_come_every_15_seconds_unless_told_otherwise() -> None:
    assert interval_of(Settings().lease_seconds) == 15


def test_an_answer_may_take_an_interval_and_five_seconds_at_least() -> None:
    assert [patience_of(lease) for lease in (8, 80, 120, 600)] == [5, 10, 15, 15]


def test_who_is_silent_for_two_intervals_is_late() -> None:
    assert [latest(lease) for lease in (8, 120, 600)] == [2, 30, 30]
