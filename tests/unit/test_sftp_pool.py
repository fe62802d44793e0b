"""The pool's own rules, with connections that are only counted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.artifacts.sftp_pool import Pool
from storage.artifacts.sftp_wire import ConnectionLost


class Line:
    """A session that has no server."""

    def __init__(self) -> None:
        self.reusable = True
        self.closed = False
        self.users = 0

    def close(self) -> None:
        self.closed = True
        self.reusable = False


class Exchange:
    """Hands out lines and remembers them."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def connect(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_a_connection_serves_one_caller_at_a_time_and_is_used_again(exchange):
    pool = Pool(exchange.connect, 3)
    most = []
    lock = threading.Lock()

    def call(_: int) -> None:
        with pool.session() as line:
            with lock:
                line.users += 1
                most.append(line.users)
            with lock:
                line.users -= 1

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(call, range(300)))

    assert max(most) == 1
    assert 1 <= len(exchange.lines) <= 3


def test_a_connection_with_something_under_way_is_closed_not_kept(exchange):
    pool = Pool(exchange.connect, 2)

    with pool.session() as line:
        line.reusable = False

    assert line.closed
    with pool.session() as other:
        assert other is not line


def test_an_error_of_the_caller_keeps_a_clean_connection(exchange):
    pool = Pool(exchange.connect, 2)

    with pytest.raises(ZeroDivisionError), pool.session():
        raise ZeroDivisionError

    with pool.session() as line:
        assert line is exchange.lines[0]


def test_one_lost_connection_takes_the_idle_ones_with_it(exchange):
    pool = Pool(exchange.connect, 2)
    with pool.session(), pool.session():
        pass

    with pytest.raises(ConnectionLost), pool.session() as line:
        line.reusable = False
        raise ConnectionLost

    assert [each.closed for each in exchange.lines] == [True, True]


def test_closing_the_pool_closes_what_is_idle_now_and_what_is_in_use_later(exchange):
    pool = Pool(exchange.connect, 2)
    with pool.session() as used:
        with pool.session() as idle:
            pass
        pool.close()

        assert idle.closed
        assert not used.closed

    assert used.closed


def test_a_connection_that_cannot_be_made_frees_its_place(exchange):
    refusals = [ConnectionLost(), ConnectionLost()]

    def connect() -> Line:
        if refusals:
            raise refusals.pop()
        return exchange.connect()

    pool = Pool(connect, 1)
    for _ in range(2):
        with pytest.raises(ConnectionLost), pool.session():
            pass

    with pool.session() as line:
        assert line is exchange.lines[0]
