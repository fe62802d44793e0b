from dataclasses import fields
from datetime import datetime
from typing import get_args

import pytest

from launcher.service.kept_back import remedy, unserved, what_to_do
from launcher.service.verdict import CANNOT_BEGIN
from storage.fleet import FLEET
from storage.kept import Kept
from storage.obstacles import PAUSED_QUEUE, Name
from storage.offers import HERE
from storage.schema import dc_server
from storage.servers import Server

TIME = datetime(2999, 1, 1)  # noqa: DTZ001 - UTC, as the column


def kept(reason, **changes):
    needs = {"queue": "default", "need_tag": "t", "need_mem_mb": 900}
    return Kept(reason=reason, n=1, batch_id=1, run_after=TIME, **(needs | changes))


def server(name, **changes):
    columns = dict.fromkeys(field.name for field in fields(Server))
    columns |= {"serve_server_id": name, "queues": ("default",), "tags": ("t",), "paused": 0}
    return Server(**(columns | changes))


@pytest.mark.parametrize("reason", get_args(Name))
def test_for_everything_that_keeps_batches_there_is_something_to_do(reason):
    by = {
        column
        for each in (PAUSED_QUEUE, *FLEET, *HERE)
        if each.name == reason
        for column in each.by
    }
    unasked = dict.fromkeys({"queue", "need_tag", "need_mem_mb"} - by)
    why, what = what_to_do(kept(reason, **unasked), server_id="S").split("; ")

    assert why
    assert "`deepcredit " in what or "--" in what
    assert "None" not in why + what


def test_only_servers_that_could_take_the_batch_are_named():
    cluster = CANNOT_BEGIN["ClusterAway"]
    alive = (
        server("A", memory_mb=899, takes_none="it is stopping"),
        server("B", tags=(), takes_none="it is stopping"),
        server("C", paused=1, takes_none="it is stopping"),
        server("D", paused=1, memory_mb=899),
        server("E", memory_mb=900, takes_none=cluster.what),
        server("F"),  # takes them again since
    )

    idle = f"no launcher for it takes batches now (E: {cluster.what}); {cluster.remedy}"
    assert what_to_do(kept("none taken"), alive=alive) == idle
    assert "paused (C); `deepcredit server resume C`" in what_to_do(kept("all paused"), alive=alive)


def test_where_all_are_stopping_another_one_is_to_be_started():
    alive = (server("A", takes_none="it is stopping"),)

    assert what_to_do(kept("none taken"), alive=alive) == (
        "no launcher for it takes batches now (A: it is stopping); "
        "start one with `deepcredit launcher SERVER_ID --tag t`"
    )


def test_a_launcher_is_to_be_started_for_the_queue_and_the_tag_that_are_asked_for():
    assert what_to_do(kept("tag unserved", queue="big jobs")) == (
        "no launcher of queue big jobs has tag t; "
        "start one with `deepcredit launcher SERVER_ID --queue 'big jobs' --tag t`"
    )


def test_a_blank_name_is_none_that_a_launcher_could_be_started_for():
    queue = what_to_do(kept("queue unserved", queue="", need_tag=None))
    tag = what_to_do(kept("tag unserved", need_tag=" "))

    change = "which names nothing; `UPDATE dc_batch SET"
    assert queue == f"queue is '', {change} queue = 'default' WHERE queue = ''`"
    assert tag == f"need_tag is ' ', {change} need_tag = NULL WHERE need_tag = ' '`"


def test_who_mistyped_a_queue_is_told_the_one_that_was_meant():
    alive = (server("A", queues=("night", "eve's")), server("B"))
    named = unserved("nihgt", alive)
    moved = what_to_do(kept("queue unserved", queue="eves", need_tag=None), alive=alive)
    alone = what_to_do(kept("no launcher", queue="defualt", need_tag=None))

    assert named == (
        "no launcher serves queue nihgt; did you mean night? served: default, eve's, night"
    )
    assert moved == (
        "no launcher serves queue eves; did you mean eve's? then "
        "`UPDATE dc_batch SET queue = 'eve''s' WHERE queue = 'eves'`; if not, "
        "start one with `deepcredit launcher SERVER_ID --queue eves`"
    )
    assert "SET queue = 'default' WHERE queue = 'defualt'" in alone
    assert what_to_do(kept("no launcher", need_tag=None)) == (
        "no launcher runs; start one with `deepcredit launcher SERVER_ID`"
    )
    hostile = what_to_do(kept("no launcher", queue="defualt\\'#", need_tag=None))
    assert "WHERE" not in hostile
    assert unserved("night", alive) is None
    assert unserved("nihgt", ()) is None


@pytest.mark.parametrize("cause", CANNOT_BEGIN.values())
def test_why_nothing_begins_fits_its_column(cause):
    assert len(cause.what) <= dc_server.c.takes_none.type.length
    assert remedy(cause.what) == cause.remedy


def test_each_name_is_of_an_obstacle():
    assert {each.name for each in (PAUSED_QUEUE, *FLEET, *HERE)} == set(get_args(Name))
