import pytest
from sqlalchemy import insert
from sqlalchemy.sql import visitors

from storage import queues, servers
from storage.columns import utc_now
from storage.fleet import FLEET
from storage.kept import kept
from storage.obstacles import PAUSED_QUEUE, Obstacle
from storage.offers import HERE, Offer
from storage.schema import dc_batch
from tests.calls import Calls

EVERYWHERE = (PAUSED_QUEUE, *FLEET)


@pytest.fixture
def calls(engine):
    return Calls(engine)


def counted(calls, obstacles, offer=None):
    found = calls(kept, obstacles, offer)
    assert {type(each.n) for each in found} == {int}
    return [(each.reason, each.queue, each.need_tag, each.n, each.batch_id) for each in found]


def launcher(calls, server, **offered):
    about = {"host": "h", "pid": 1, "version": "1", "slots": 1} | offered
    calls(servers.register, server=server, identity=server, **about)


def test_batches_that_one_thing_keeps_back_are_counted_together(calls):
    launcher(calls, "S", queues=["default", "밤"])
    asked = ({"queue": "밤"}, {"queue": "q"}, {"need_tag": "gpu"}, {}, {"queue": "q"})
    for columns in (*asked, {"queue": "밤", "need_tag": "gpu"}):
        calls.add(**columns)
    calls.add(queue="q", state="C"), calls.add(queue="q", cancel_requested_at=utc_now())
    calls.add(queue="q", state="E", attempt=1, run_after=utc_now(60))
    calls(queues.pause, "밤")

    assert counted(calls, EVERYWHERE) == [
        ("paused queue", "밤", None, 2, 1),  # whichever tag they ask for
        ("queue unserved", "q", None, 3, 2),
        ("tag unserved", "default", "gpu", 1, 3),
        (None, None, None, 1, 4),
    ]


def test_each_batch_is_looked_at_where_each_may_be_kept_by_something_else(calls):
    running = calls.add(concurrency_key="k", state="U", lease_until=utc_now(60))
    more = {"need_mem_mb": 2000}
    later = {"run_after": utc_now(60)}
    for columns in ({}, more, more, later, {"concurrency_key": "k"}, {"train_batch_id": running}):
        calls.add(**columns)

    assert counted(calls, HERE, Offer(server="S", free_mb=1000)) == [
        (None, None, None, 1, 2),
        ("no memory here", None, None, 2, 3),
        ("time", None, None, 1, 5),
        ("other batch", None, None, 2, 6),
    ]


@pytest.mark.parametrize("obstacle", [*EVERYWHERE, *HERE], ids=lambda each: each.name)
def test_an_obstacle_names_the_columns_by_which_it_is_there(obstacle: Obstacle):
    asked = {
        part.name
        for part in visitors.iterate(obstacle.there)
        if getattr(part, "table", None) is dc_batch
    }

    assert asked <= {*obstacle.by} or obstacle.by == ("batch_id",)


def test_of_a_long_queue_that_nobody_serves_one_batch_is_looked_at(sqlite_engine):
    calls, n = Calls(sqlite_engine), 300
    calls(lambda c: c.execute(insert(dc_batch), [{"mode": "train"}] * n))

    def steps(launchers):
        """What it takes to look at them, in hundreds of instructions of SQLite's machine."""
        for number in range(launchers):
            launcher(calls, f"S{number}", queues=["night"])
        done = []
        with sqlite_engine.connect() as connection:
            driver = connection.connection.driver_connection
            driver.set_progress_handler(lambda: done.append(1), 100)
            (found,) = kept(connection, EVERYWHERE)
            driver.set_progress_handler(None, 0)
        assert (found.reason, found.n) == ("queue unserved", n)
        return len(done)

    few = steps(1)
    assert steps(40) < 2 * few
