"""Operators' commands on servers, queues, batches and old rows."""

import pytest
from sqlalchemy import insert, select, update

from storage import batches, housekeeping
from storage.columns import utc_now
from storage.schema import (
    dc_batch,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_dataset,
    dc_model_list,
    dc_queue,
    dc_server,
)


def column(calls, chosen):
    return list(calls(lambda connection: connection.scalars(select(chosen)).all()))


def test_a_server_is_paused_and_resumed(run, calls):
    assert run("server", "pause", "B") == (0, "B is not known yet; it starts paused\n", "")
    assert run("server", "pause", "B") == (0, "B is paused\n", "")
    assert column(calls, dc_server.c.paused) == [1]
    assert run("server", "resume", "B")[0] == 0
    assert column(calls, dc_server.c.paused) == []


def test_a_launcher_keeps_its_row_when_its_server_is_resumed(run, calls):
    calls.register("B")
    run("server", "pause", "B")
    assert run("server", "resume", "B")[0] == 0
    assert column(calls, dc_server.c.paused) == [0]


def test_resuming_a_server_that_is_not_there_names_those_that_are(run):
    run("server", "pause", "SERVER_1")

    code, _, error = run("server", "resume", "SERVER_2")

    known = "did you mean SERVER_1? there are: SERVER_1\n"
    assert (code, error) == (1, f"error: server SERVER_2 is not known; {known}")
    said = "SERVER_2 is not known yet; it starts paused\n"
    assert run("server", "pause", "SERVER_2") == (0, said, f"note: {known}")


def test_a_queue_is_paused_and_resumed(run, calls):
    assert run("queue", "pause", "night")[0] == 0
    assert column(calls, dc_queue.c.paused) == [1]
    assert run("queue", "resume", "night")[0] == 0
    assert column(calls, dc_queue.c.paused) == []


def test_a_queue_that_nobody_has_is_paused_but_said_to_be_unknown(run, calls):
    calls.add(queue="night")
    calls.register("S1", queues=["urgent"])
    unknown = "did you mean night? there are: default, night, urgent\n"

    assert run("queue", "pause", "urgent") == (0, "queue urgent is paused\n", "")
    for _ in range(2):
        assert run("queue", "pause", "nihgt") == (
            0,
            "queue nihgt is paused\n",
            f"note: no batch and no launcher has it; {unknown}",
        )
    assert run.error("queue", "resume", "nihtg").endswith(
        "did you mean nihgt? there are: default, night, nihgt, urgent"
    )
    assert run("queue", "resume", "nihgt") == (0, "queue nihgt goes on\n", "")
    assert run("queue", "resume", "default") == (0, "queue default goes on\n", "")
    assert run.error("queue", "resume", "nihgt") == (f"queue nihgt is not known; {unknown}".strip())


def test_a_batch_is_moved_up(run, calls):
    batch_id = calls.add()

    assert run("batch", "priority", str(batch_id), "7")[0] == 0
    assert calls(batches.read, batch_id).priority == 7
    assert run("batch", "priority", str(batch_id), "-5")[0] == 0
    assert calls(batches.read, batch_id).priority == -5
    assert run("batch", "priority", str(batch_id), "99999")[0] == 2
    assert run("batch", "priority", str(batch_id), "--later")[0] == 2
    assert run("batch", "priority", "999", "1")[0] == 1


@pytest.mark.parametrize(
    ("columns", "words", "remedy"),
    [
        ({"state": "U"}, "runs", ""),
        ({"state": "C"}, "is completed", ""),
        ({"state": "E"}, "has failed", "; `deepcredit batch retry 1` lets it wait"),
        (
            {"state": "E", "attempt": 1, "run_after": utc_now(1200)},
            "has failed",
            "; `deepcredit batch retry 1` lets it wait",
        ),
    ],
)
def test_only_a_batch_that_waits_is_moved_up(run, calls, columns, words, remedy):
    assert calls.add(**columns) == 1

    said = f"error: batch 1 {words}: nothing is changed, for priority tells among waiting batches"
    assert run("batch", "priority", "1", "7") == (1, "", f"{said} alone{remedy}\n")
    assert calls(batches.read, 1).priority == 100


def predicting(calls, **columns):
    """A predict batch that can run once its train batch is completed."""
    parent = calls.add()
    return calls.add(mode="predict", train_batch_id=parent, **columns)


def test_a_completed_batch_is_run_again(run, calls):
    batch_id = predicting(calls, state="C", attempt=2)

    assert run("batch", "rerun", str(batch_id)) == (0, f"batch {batch_id} waits to run\n", "")
    again = calls(batches.read, batch_id)
    assert (again.state, again.attempt) == ("I", 0)


@pytest.mark.parametrize(
    ("lever", "state", "columns", "code", "said"),
    [
        ("rerun", "C", {"batch_param": '{"scop": "all"}'}, 2, "did you mean scope?"),
        ("rerun", "U", {"dataset_group": "D", "dataset_version": 1}, 1, "unknown data set D/1"),
        ("retry", "E", {"train_batch_id": 99}, 1, "train_batch_id 99: there is no such batch"),
    ],
)
def test_what_would_end_at_once_is_not_put_back(run, calls, lever, state, columns, code, said):
    batch_id = predicting(calls, state=state, attempt=2)
    calls(lambda c: c.execute(update(dc_batch).where(dc_batch.c.state == state).values(columns)))

    answered, out, error = run("batch", lever, str(batch_id))

    assert (answered, out) == (code, "")
    assert said in error
    still = calls(batches.read, batch_id)
    assert (still.state, still.attempt) == (state, 2)


def test_a_batch_put_back_whose_sizes_are_doubtful_is_noted(run, calls):
    dataset = {"dataset_group": "D", "dataset_version": 1}
    row = dataset | {"table_name": "t", "n_rows": 1000, "content_sha256": "x"}
    calls(lambda c: c.execute(insert(dc_dataset).values(row)))
    model = {"model_no": 1, "model_id": "ML-RF", "model_group_id": "M"}
    calls(lambda c: c.execute(insert(dc_model_list).values(model)))
    batch_id = calls.add(state="E", model_group="M", batch_param='{"testSize": 30}', **dataset)

    code, out, error = run("batch", "retry", str(batch_id))

    assert (code, out) == (0, f"batch {batch_id} waits to run\n")
    assert error == "note: testSize 30: 30 of 1000 rows, not 30 %\n"


def test_a_batch_is_deleted_unless_it_is_needed(run, calls):
    needed, other = calls.add(state="C"), calls.add(state="C")
    row = {"candidate_id": "C001", "batch_id": needed, "model_no": 1, "model_sub_no": 1}
    calls(lambda c: c.execute(insert(dc_candidate_model_list).values(row)))

    assert run("batch", "delete", str(other))[0] == 0
    code, _, error = run("batch", "delete", str(needed))
    assert (code, "candidate list C001" in error) == (1, True)
    assert column(calls, dc_batch.c.batch_id) == [needed]
    said = f"batch {needed} is deleted; named by candidate list C001\n"
    assert run("batch", "delete", str(needed), "--force") == (0, said, "")
    assert column(calls, dc_batch.c.batch_id) == []


def test_a_batch_of_many_ensembles_is_deleted_in_short_transactions(run, calls, monkeypatch):
    batch_id = calls.finished(mode="ensemble")
    rows = [
        {"batch_id": batch_id, "ensemble_no": number, "split": split}
        for number in range(5)
        for split in ("valid", "test")
    ]
    calls(lambda connection: connection.execute(insert(dc_batch_result_t4), rows))
    delete, gone = housekeeping.delete_ensembles, []

    def count(*args, **kwargs):
        gone.append(delete(*args, **kwargs))
        return gone[-1]

    monkeypatch.setattr(housekeeping, "delete_ensembles", count)
    monkeypatch.setattr("launcher.commands.batch.PRUNE_ROWS", 4)

    assert run("batch", "delete", batch_id)[0] == 0

    assert gone == [4, 4, 2, 0]
    assert column(calls, dc_batch_result_t4.c.ensemble_no) == []


def test_status_is_printed_once_where_there_is_no_terminal(run, calls):
    calls.add(state="U", serve_server_id="A", mode="predict")
    calls.add()

    code, text, _ = run("status")

    assert code == 0
    assert "predict" in text
    assert "oldest waiting: batch 2" in text


def test_a_launcher_that_must_have_said_something_by_now_is_late(run, calls):
    calls.register("S", identity="there:7:boot")
    for seconds, state in ((20, " up "), (40, " late ")):
        heard = update(dc_server).values(last_seen=utc_now(-seconds))
        calls(lambda c, heard=heard: c.execute(heard))
        assert state in run("status", "--once")[1]


def test_old_batches_are_pruned_once_one_has_looked(run, calls):
    from_long_ago = {"state": "C", "work_end_date": utc_now(-100 * 86_400)}
    for _ in range(3):
        calls.add(**from_long_ago)
    kept = calls.add(state="C", work_end_date=utc_now())
    waiting = calls.add(train_batch_id=1)
    words = ("db", "prune", "--completed-before", "90d")

    code, text, _ = run(*words, "--dry-run")
    assert (code, text) == (
        0,
        "2 batches can go (batch 2 to 3); 1 kept, to which something refers\n",
    )
    code, text, error = run(*words)
    assert (code, text) == (
        0,
        "2 batches removed; 1 kept, to which something refers\n",
    )
    assert "2 of 2 batches" in error
    assert column(calls, dc_batch.c.batch_id) == [1, kept, waiting]
    assert run("db", "prune", "--completed-before", "soon")[0] == 2
