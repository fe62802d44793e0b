import time

import pytest
from structlog.testing import capture_logs

from configs.errors import DatabaseRefused, DatabaseUnavailable
from launcher.service.outage import Outage
from launcher.service.steps import Step

FAULT = RuntimeError("a fault of ours")


class Launcher:
    """Its steps fail with what `errors` holds for them."""

    def __init__(self):
        self.errors = {}
        self.told = []
        self.wanted = True
        outage = Outage(self.told.append)
        self.sweep, self.seen = (
            Step(name, lambda name=name: self.do(name), outage, wanted=lambda: self.wanted)
            for name in ("sweep", "seen")
        )

    def do(self, name):
        if name in self.errors:
            raise self.errors[name]
        return 60.0

    def turn(self, step, **errors):
        """Take a turn; returns between what the seconds until the next are."""
        self.errors |= errors
        before = time.monotonic()
        step.turn()
        return step.due - time.monotonic(), step.due - before


@pytest.fixture
def launcher():
    return Launcher()


def said(lines):
    return [line["event"].split("; ")[0] for line in lines]


def test_a_step_has_its_turn_when_it_asks_for_it_and_only_while_it_is_wanted(launcher):
    step = launcher.sweep
    assert step.due <= time.monotonic()

    low, high = launcher.turn(step)
    assert low <= 60 <= high
    launcher.wanted = False
    assert step.due == float("inf")
    launcher.wanted = True
    step.hasten()
    assert step.due <= time.monotonic()


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), FAULT])
def test_a_step_that_fails_puts_off_itself_alone_longer_each_time_until_it_succeeds(
    launcher, error
):
    for least in (0.5, 1, 2, 4, 8, 15, 15):
        low, high = launcher.turn(launcher.sweep, sweep=error)
        assert low <= 2 * least
        assert high >= least
        assert launcher.sweep.failing
        assert not launcher.seen.failing
    launcher.errors.clear()

    low, high = launcher.turn(launcher.sweep)
    assert low <= 60 <= high
    assert not launcher.sweep.failing
    low, _ = launcher.turn(launcher.sweep, sweep=error)
    assert low <= 1


def test_an_outage_begins_with_the_first_step_that_fails_and_ends_with_the_last(launcher):
    with capture_logs() as lines:
        for _ in range(2):
            launcher.turn(launcher.sweep, sweep=DatabaseUnavailable("away"))
            launcher.turn(launcher.seen, seen=DatabaseRefused("read-only"))
        launcher.errors.clear()
        launcher.turn(launcher.seen)
        launcher.turn(launcher.seen)
        assert launcher.told == [True]
        launcher.turn(launcher.sweep)

    assert launcher.told == [True, False]
    assert said(lines) == ["the database cannot be used", "the database answers again"]


def test_a_step_that_fails_for_another_reason_after_an_outage_says_so(launcher):
    with capture_logs() as lines:
        for error in (DatabaseUnavailable("away"), FAULT, FAULT):
            launcher.turn(launcher.sweep, sweep=error)

    assert launcher.told == [True, False]
    assert said(lines) == [
        "the database cannot be used",
        "the database answers again",
        "a step of the launcher failed",
    ]
    assert lines[-1]["exc_info"] is FAULT


def test_another_failure_is_logged_once_and_is_no_outage(launcher):
    with capture_logs() as lines:
        for _ in range(3):
            launcher.turn(launcher.sweep, sweep=FAULT)
        launcher.errors.clear()
        for _ in range(2):
            launcher.turn(launcher.sweep)

    assert launcher.told == []
    assert said(lines) == ["a step of the launcher failed"]
    assert lines[0]["exc_info"] is FAULT
