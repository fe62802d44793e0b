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


@pytest.mark.parametrize(
    ("tasks", "long", "told"),
    [((3, 1), 60, "1 minute"), ((3, 1), 150, "2 minutes"), ((10, 600, 10), 1200, "20 minutes")],
    ids=["a minute", "whole minutes", "twice the longest before"],
)
def test_a_pause_is_long_from_a_minute_on_and_by_the_longest_before_it(clock, tasks, long, told):
    pace = Pace(clock)
    for seconds in tasks:
        after(clock, seconds)
        pace.ended()

    shortest = max(60, 2 * max(tasks))
    after(clock, shortest - 1)
    assert pace.pause() == ""
    after(clock, long - shortest + 1)
    assert pace.pause() == f"no task has ended for {told}"
    pace.ended()
    assert pace.pause() == ""
