"""One batch that is run by its number."""

import pytest

from configs.errors import NotFound, WrongState
from storage.columns import utc_now
from tests.runs import in_thread
from tests.waiting import until


def test_one_batch_by_its_number(runs):
    first, second = runs.add(), runs.add(queue="other", need_tag="gpu")
    watched = []

    assert runs.run_one("succeed", second, watch=watched.append)
    assert runs.states_of(first, second) == ["I", "C"]
    assert [(progress.fraction, progress.note) for progress in watched] == [(0.25, "1 of 4 모델")]
    assert not runs.run_one("bad-data", first)


def test_a_batch_goes_on_when_nobody_looks_on_any_more(runs):
    batch_id = runs.add()

    def gone(progress):
        raise BrokenPipeError

    assert runs.run_one("succeed", batch_id, watch=gone)
    assert runs.states_of(batch_id) == ["C"]


def test_why_a_batch_cannot_be_run(runs):
    done, failed, running = runs.add(state="C"), runs.add(state="E"), runs.add(state="U")
    runs.change(running, serve_server_id="SERVER_001")
    waiting = runs.add(train_batch_id=running, mode="predict")
    runs.add(dedupe_key="d", run_after=utc_now(600))
    twin = runs.add(dedupe_key="d", state="E", run_after=utc_now(-1), attempt=1)
    cancelled = runs.add(cancel_requested_at=utc_now())

    for batch_id, error, words in [
        (done, WrongState, "is completed"),
        (failed, WrongState, "failed for good"),
        (running, WrongState, "is running on SERVER_001"),
        (waiting, WrongState, f"waits for batch {running}, which is running"),
        (twin, WrongState, "waits for its turn: another batch has dedupe_key d"),
        (cancelled, WrongState, "is being cancelled"),
        (999, NotFound, "does not exist"),
    ]:
        with pytest.raises(error, match=words):
            runs.run_one("succeed", batch_id)


def test_a_row_set_running_by_hand_is_looked_after(runs):
    batch_id = runs.add(state="U")
    with in_thread(runs.daemon("succeed")):
        until(lambda: runs.row(batch_id).lease_until is not None)

    assert runs.row(batch_id).attempt <= 1
