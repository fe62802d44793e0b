"""A pause between tasks, by a clock that is told."""

import pytest

from launcher.cluster.pace import Pace


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def after(clock, seconds):
    clock.now += seconds


def test_before_a_task_has_ended_there_is_nothing_to_measure_by(clock):
    pace = Pace(clock)
    after(clock, 10_000)

    assert pace.pause() == ""


def test_a_pause_of_a_minute_is_long_where_tasks_ended_fast(clock):
    pace = Pace(clock)
    for seconds in (3, 1):
        after(clock, seconds)
        pace.ended()

    after(clock, 59)
    assert pace.pause() == ""
    after(clock, 1)
    assert pace.pause() == "no task has ended for 1 minute"
    after(clock, 90)
    assert pace.pause() == "no task has ended for 2 minutes"
    pace.ended()
    assert pace.pause() == ""


def test_a_pause_is_long_by_the_longest_before_it(clock):
    pace = Pace(clock)
    for seconds in (10, 600, 10):
        after(clock, seconds)
        pace.ended()

    after(clock, 1199)
    assert pace.pause() == ""
    after(clock, 1)
    assert pace.pause() == "no task has ended for 20 minutes"
