"""What signals make of a launcher, by the clock."""

import os
import signal

import pytest

from launcher.service.orders import Orders
from launcher.service.verdict import Stopping


@pytest.fixture
def told():
    """Orders with ten seconds of grace, the time that their clock shows, and who was woken."""
    now, woken = [100.0], []
    return Orders(10, lambda: woken.append(1), lambda: now[0]), now, woken


def test_the_first_lets_what_runs_finish_until_the_grace_ends(told):
    orders, now, woken = told
    assert (orders.stopping(), orders.due) == (Stopping.NO, float("inf"))

    orders.give()
    assert (orders.stopping(), orders.due, len(woken)) == (Stopping.DRAINING, 110, 1)

    now[0] = 110
    assert (orders.stopping(), orders.due) == (Stopping.NOW, float("inf"))


def test_the_second_stops_at_once_and_more_change_nothing(told):
    orders, _, woken = told

    orders.give()
    for count in (2, 3):
        orders.give()
        assert (orders.stopping(), orders.due, len(woken)) == (Stopping.NOW, float("inf"), count)


def test_without_grace_the_first_stops_at_once():
    orders = Orders(0, lambda: None, lambda: 100.0)
    orders.give()

    assert orders.stopping() is Stopping.NOW


def test_signals_are_orders_only_while_they_are_heard(told):
    orders, _, woken = told
    others = []
    before = signal.signal(signal.SIGTERM, lambda *_: others.append(1))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orders.heard():
            os.kill(os.getpid(), signal.SIGHUP)  # as nohup wants it
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, ignored)

    assert (len(woken), len(others)) == (1, 1)
