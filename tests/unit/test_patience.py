import time
from itertools import count

import pytest
from structlog.testing import capture_logs

from configs.errors import StoreRefused, StoreUnavailable
from storage.artifacts.patience import persist
from storage.artifacts.sftp_wire import ConnectionLost


class Failing:
    """Fails so often, then returns how often it was called."""

    def __init__(self, times: int, error: Exception) -> None:
        self.calls = 0
        self._times = times
        self._error = error

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return self.calls


def test_a_lost_connection_is_tried_again():
    assert persist(Failing(2, ConnectionLost()), "put", seconds=20) == 3


def test_the_log_says_what_is_done_about_it_and_that_it_was():
    with capture_logs() as logs:
        persist(Failing(0, ConnectionLost()), "put a/b", seconds=20)
        assert logs == []
        persist(Failing(4, ConnectionLost("it broke")), "put a/b", seconds=20)

    lost, back = logs
    assert lost["event"] == "store connection lost; trying again"
    assert (lost["log_level"], lost["error"], lost["at_most_seconds"]) == (
        "warning",
        "it broke",
        20,
    )
    assert back["event"] == "store connection is back; this is done"
    assert (back["operation"], back["tries"]) == ("put a/b", 5)


def test_the_log_says_each_time_that_a_connection_is_lost_after_progress():
    received = count()

    with capture_logs() as logs:
        persist(Failing(3, ConnectionLost()), "get", seconds=20, progress=received.__next__)

    events = ["store connection lost; trying again"] * 3
    assert [log["event"] for log in logs] == [*events, "store connection is back; this is done"]


def test_without_patience_there_is_one_try():
    operation = Failing(9, ConnectionLost("it broke"))

    with pytest.raises(StoreUnavailable, match=r"put a/b: it broke \(tries: 1\)") as caught:
        persist(operation, "put a/b", seconds=0)

    assert type(caught.value) is StoreUnavailable
    assert operation.calls == 1


def test_patience_ends_when_nothing_moves():
    operation = Failing(10**6, ConnectionLost())

    with pytest.raises(StoreUnavailable):
        persist(operation, "get", seconds=0.2)

    assert 2 <= operation.calls <= 8


def test_progress_renews_patience():
    received = count()

    assert persist(Failing(5, ConnectionLost()), "get", seconds=0.01, progress=received.__next__)


def test_an_operation_that_takes_longer_than_patience_is_tried_again_when_it_breaks_once():
    tries = count(1)

    def slow() -> str:
        if next(tries) > 1:
            return "done"
        time.sleep(0.2)
        raise ConnectionLost("it broke")

    assert persist(slow, "put", seconds=0.1) == "done"


def test_a_refusal_is_not_tried_again():
    operation = Failing(9, StoreRefused())

    with pytest.raises(StoreRefused):
        persist(operation, "put", seconds=20)

    assert operation.calls == 1
