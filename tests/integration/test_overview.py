import pytest
from sqlalchemy import insert, text

from storage import overview, queues, servers, waiting
from storage.columns import utc_now
from storage.fleet import FLEET
from storage.kept import kept
from storage.schema import dc_server


def test_an_empty_database_has_nothing_going_on(calls):
    assert calls(overview.read) == overview.Overview(
        servers=(), runs=(), queues=(), oldest=None, failures=(), failed=0
    )
    assert calls(waiting.longest_seconds) == 0


def test_servers_tell_how_long_they_are_silent_and_whether_they_are_paused(calls):
    row = {"serve_server_id": "A", "identity": "a", "slots": 2, "last_seen": utc_now(-90)}
    calls(lambda c: c.execute(insert(dc_server).values(row)))
    calls(servers.pause, "B")

    up, paused = calls(overview.read).servers

    assert (up.serve_server_id, up.paused, up.slots) == ("A", 0, 2)
    assert (up.tags, up.queues, paused.queues) == ((), ("default",), ())
    assert 89 <= up.silent <= 100
    assert (paused.serve_server_id, paused.paused, paused.silent) == ("B", 1, None)


@pytest.mark.parametrize(("written", "tags"), [("gpu", ("gpu",)), ("[1]", ("1",)), ('"a"', ("a",))])
def test_tags_that_an_operator_wrote_as_no_list_of_names_stop_nobody(calls, written, tags):
    row = {"serve_server_id": "A", "identity": "a", "tags": written, "last_seen": utc_now()}
    calls(lambda c: c.execute(insert(dc_server).values(row)))

    assert [each.tags for each in calls(overview.read).servers] == [tags]
    assert [each.tags for each in calls(servers.at_work)] == [tags]


def test_what_runs_is_told_with_its_server(calls):
    busy = {"state": "U", "progress": 0.5, "work_date": utc_now(-60), "progress_note": "모형 3"}
    second = calls.add(serve_server_id="B", lease_until=utc_now(60), **busy)
    first = calls.add(serve_server_id="A", lease_until=utc_now(-1), **busy)

    runs = calls(overview.read).runs

    assert [(run.batch_id, run.overdue) for run in runs] == [(first, 1), (second, 0)]
    assert 59 <= runs[0].seconds <= 70
    assert runs[0].progress_note == "모형 3"


def test_queues_count_what_waits_and_what_is_retried(calls):
    calls.add(), calls.add(), calls.add(queue="night")
    calls.add(state="E", attempt=1, run_after=utc_now(-5))
    calls.add(state="E", attempt=1, run_after=utc_now(500), queue="retries")
    calls.add(state="E", queue="dead")
    calls.add(state="C", queue="done")
    calls(queues.pause, "night")
    calls(queues.pause, "still")

    found = {q.queue: (q.waiting, q.due, q.later, q.paused) for q in calls(overview.read).queues}

    assert found == {
        "default": (2, 1, 0, 0),
        "night": (1, 0, 0, 1),
        "retries": (0, 0, 1, 0),
        "still": (0, 0, 0, 1),
    }


def test_what_is_being_cancelled_waits_no_more(calls):
    asked = {"cancel_requested_at": utc_now()}
    calls.add(**asked), calls.add(**asked, queue="night")
    calls.add(**asked, state="E", attempt=1, run_after=utc_now(-5))
    assert calls(overview.read).queues == ()
    assert calls(overview.read).oldest is None

    wanted = calls.add()

    found = calls(overview.read)
    assert [(q.queue, q.waiting, q.due, q.later) for q in found.queues] == [("default", 1, 0, 0)]
    assert found.oldest.batch_id == wanted
    assert [each.n for each in calls(kept, FLEET)] == [1]  # what `doctor` goes by


def test_the_oldest_waiting_batch_counts_from_when_it_was_given_back(calls):
    calls.add(state="C", created_at=utc_now(-999))
    first = calls.add(created_at=utc_now(-500), work_end_date=utc_now(-100))
    calls.add(created_at=utc_now(-50))

    oldest = calls(overview.read).oldest

    assert oldest.batch_id == first
    assert 99 <= oldest.seconds <= 110
    assert calls(waiting.longest_seconds) >= 99


def test_a_batch_waits_from_its_time_on_and_not_before(calls):
    calls.add(run_after=utc_now(3600))
    assert calls(overview.read).oldest is None

    due = calls.add(created_at=utc_now(-500), run_after=utc_now(-100))
    calls.add()

    oldest = calls(overview.read).oldest
    assert oldest.batch_id == due
    assert 99 <= oldest.seconds <= 110


def test_only_final_errors_of_the_last_day_are_failures(calls):
    failed = {"state": "E", "error_class": "BadData", "error_text": "열 이름"}
    calls.add(**failed, work_end_date=utc_now(-90_000))
    older = calls.add(**failed, work_end_date=utc_now(-80_000))
    newer = calls.add(**failed, work_end_date=utc_now(-10))
    calls.add(**failed, work_end_date=utc_now(-10), run_after=utc_now(60))
    calls.add(state="E", error_class="Cancelled", work_end_date=utc_now(-10))
    used_up = {"run_after": utc_now(60), "attempt": 3}
    last = calls.add(**failed, work_end_date=utc_now(-5), **used_up)

    found = calls(overview.read, failures=2)

    assert [failure.batch_id for failure in found.failures] == [last, newer]
    assert found.failed == 3
    assert older not in [failure.batch_id for failure in found.failures]


def test_states_are_counted(calls):
    calls.add(), calls.add(), calls.add(state="C"), calls.add(state="E")

    assert calls(overview.states) == {"I": 2, "C": 1, "E": 1}


def test_a_refresh_reads_few_rows_however_many_have_ended(mariadb_engine):
    with mariadb_engine.begin() as connection:
        for state in ("C", "E"):
            connection.execute(
                text(
                    "INSERT INTO dc_batch (mode, state, work_end_date) SELECT 'train', "
                    f"'{state}', UTC_TIMESTAMP(6) - INTERVAL 2 DAY FROM seq_1_to_5000"
                )
            )
        connection.execute(text("INSERT INTO dc_batch (mode) VALUES ('train'), ('train')"))
    with mariadb_engine.connect() as connection:
        before = rows_read(connection)
        overview.read(connection)
        assert rows_read(connection) - before < 500


def rows_read(connection):
    counts = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(value) for _, value in counts)
