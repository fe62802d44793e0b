"""`deepcredit batch`: adding, waiting, cancelling, trying again."""

import json
import re
from datetime import datetime
from functools import partial
from types import SimpleNamespace

import pytest
from sqlalchemy import make_url

from configs.settings import Settings
from storage import candidates
from tests.calls import Calls
from tests.mariadb import PASSWORD, MariaDB
from tests.proxy import proxied
from tests.terminal import Terminal

TRAIN = ("train", "--dataset", "DATA001/1", "--model-group", "M100")


def test_a_batch_added_at_the_terminal_is_the_row_that_sql_would_insert(stocked: Terminal) -> None:
    code, number, _ = stocked(
        *("batch", "add", "--mode", "train"),
        *("--dataset", "DATA001/1", "--model-group", "M100", "--desc", "신용 모형"),
        *("--param", "testSize=0.3", "--param", "splitBy=time", "--json", '{"models": [1]}'),
        *("--priority", "5", "--need-tag", "gpu"),
    )

    assert code == 0
    (row,) = stocked.rows("batch", "show", number.strip())

    assert row["state"] == "I"
    assert (row["dataset_group"], row["dataset_version"]) == ("DATA001", 1)
    assert (row["model_group"], row["batch_desc"], row["priority"]) == ("M100", "신용 모형", 5)
    assert json.loads(row["batch_param"]) == {"models": [1], "testSize": 0.3, "splitBy": "time"}


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["train", "--model-group", "M100"], 1, "needs dataset_group and dataset_version"),
        (
            [*TRAIN[:2], "DATA01/1", *TRAIN[3:]],
            1,
            "DATA01/1; did you mean DATA001? there are: DATA001/1",
        ),
        ([*TRAIN[:2], "DATA001/2", *TRAIN[3:]], 1, "data set DATA001/2; there are: DATA001/1"),
        ([*TRAIN[:3]], 1, "a train batch needs model_group; there are: M100"),
        ([*TRAIN[:4], "M10"], 1, "unknown model group 'M10'; did you mean M100? there are"),
        ([*TRAIN, "--param", "testsize=0.3"], 2, "did you mean testSize? allowed are: "),
        ([*TRAIN, "--param", "testSize=-1"], 2, "testSize = -1 is not"),
        ([*TRAIN, "--param", "threshold=2"], 2, "threshold = 2.0 is not allowed; allowed: "),
        ([*TRAIN, "--param", "models=[2]"], 2, "model_no 2 is not in use in group 'M100'"),
        (["predict"], 1, "a predict batch needs train_batch_id"),
        (["predict", "--train-batch", "7"], 1, "train_batch_id 7: there is no such batch"),
        (["predict", "--train-batch", "1", "--dataset", "D/1"], 1, "there are: DATA001/1"),
        (["ensemble"], 1, "an ensemble batch needs candidate_id; there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C2"], 1, "C2' lists no model; there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C11"], 1, "; did you mean C1? there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C1"], 2, "with 2 candidate models it can be 1 to 2"),
        (["ensemble", "--candidate", "C1", "--dataset", "D/1", "--param", "members=1"], 1, "D/1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_run_would_end_with_at_once_is_an_error_of_batch_add(
    stocked: Terminal, calls: Calls, words: list[str], code: int, text: str
) -> None:
    waiting = calls.add()
    calls(candidates.add, "C1", [(waiting, 1, 1), (waiting, 1, 2)])

    assert text in stocked.error("batch", "add", "--mode", *words, code=code)
    assert len(stocked.rows("batch", "list")) == 1


@pytest.mark.parametrize(
    ("option", "value", "column"),
    [
        ("--dataset", f"{'밤' * 200}/1", "dataset_group"),
        ("--need-mem-mb", "3000000000", "need_mem_mb"),
        ("--dataset", "DATA001/3000000000", "dataset_version"),
    ],
)
def test_a_value_that_does_not_fit_the_database_is_named(
    run: Terminal,
    mariadb_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
    column: str,
) -> None:
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_settings.database_url)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)

    said = run.error("batch", "add", "--mode", "train", option, value, code=2)
    assert re.search(rf"the database does not take a value: .* for column '{column}'$", said)


def test_a_number_that_sqlite_does_not_know_is_an_error(run: Terminal) -> None:
    assert run.error("batch", "show", "9" * 30, code=2) == (
        "the database does not take a value: numbers of SQLite end at 9223372036854775807"
    )


def test_a_count_that_may_have_meant_a_percentage_is_noted_beside_the_number(
    stocked: Terminal,
) -> None:
    code, out, err = stocked("batch", "add", "--mode", *TRAIN, "--param", "testSize=2")

    assert (code, out.strip().isdigit()) == (0, True)
    assert err.startswith("note: testSize 2: 2 of ")
    assert err.strip().endswith("rows, not 2 %")


def test_an_ensemble_of_models_that_are_gone_is_not_added(stocked: Terminal, calls: Calls) -> None:
    ended = calls.add(state="C")
    calls(candidates.add, "C1", [(ended, 1, 1)])

    words = ("--mode", "ensemble", "--candidate", "C1", "--param", "members=1")
    said = stocked.error("batch", "add", *words)
    assert f"1 of 1 model not in dc_model, the first: batch {ended}, model 1/1" in said


@pytest.mark.parametrize("text", [5000 * "9", 5000 * "["], ids=["digits", "depth"])
def test_a_parameter_that_no_program_reads_is_refused_as_any_other(
    stocked: Terminal, text: str
) -> None:
    said = stocked.error("batch", "add", "--mode", *TRAIN, "--param", f"models={text}", code=2)

    assert f'batch_param: models = "{text[:3]}' in said


def test_a_batch_may_be_added_that_waits_for_the_one_it_builds_on(
    stocked: Terminal, calls: Calls
) -> None:
    waiting = calls.add()

    words = ("batch", "add", "--mode", "predict", "--train-batch", waiting)
    assert stocked(*words)[::2] == (0, "")
    said = "note: model_group is ignored: predict does not read it\n"
    assert stocked(*words, "--model-group", "M100")[::2] == (0, said)


def test_who_adds_a_batch_to_a_paused_queue_is_told(stocked: Terminal) -> None:
    words = ("batch", "add", "--mode", *TRAIN, "--queue", "야간")
    assert stocked(*words)[::2] == (0, "")

    stocked("queue", "pause", "야간")

    said = "note: queue 야간 is paused: deepcredit queue resume 야간\n"
    assert stocked(*words)[::2] == (0, said)
    assert stocked("batch", "retry", "1")[::2] == (0, said)


def test_a_batch_is_cancelled_retried_and_listed_in_words(run: Terminal, calls: Calls) -> None:
    trained = calls.add()
    number = calls.add(mode="predict", train_batch_id=trained, batch_desc="[모형] one")

    assert "waiting" in run("batch", "list")[1]
    assert "cancelled" in run("batch", "cancel", number)[1]
    assert "cancelled" in run("batch", "list", "--state", "E")[1]
    assert "had already ended" in run("batch", "cancel", number)[1]
    assert "waits to run" in run("batch", "retry", number)[1]
    listed = run("batch", "list")[1]
    assert "[모형] one" in listed
    assert "waiting" in listed
    assert "does not exist" in run.error("batch", "retry", "99")


def test_a_batch_is_shown_with_times_to_the_second_and_their_zone(
    run: Terminal, calls: Calls
) -> None:
    number = calls.add(created_at=datetime(2026, 8, 1, 9, 30, 5, 123456))  # noqa: DTZ001 - as rows have

    assert re.search(
        r"^created_at +2026-08-01 09:30:05 UTC$", run("batch", "show", number)[1], re.MULTILINE
    )
    assert run.rows("batch", "show", number)[0]["created_at"] == "2026-08-01 09:30:05.123456"


def test_a_batch_is_shown_with_what_only_people_read_and_what_it_waits_for(
    run: Terminal, calls: Calls
) -> None:
    number = calls.add(batch_memo="메모", concurrency_key="야간", dedupe_key="한 번")
    said = {"batch_memo": "메모", "concurrency_key": "야간", "dedupe_key": "한 번"}
    said["waits_for"] = "a launcher (none runs)"

    lines = run("batch", "show", number)[1].splitlines()
    (row,) = run.rows("batch", "show", number)

    assert said.items() <= row.items()
    assert said.items() <= dict(line.split(maxsplit=1) for line in lines).items()
    calls.sql("UPDATE dc_batch SET run_after = 'tomorrow'")
    assert run.rows("batch", "show", number)[0]["waits_for"] == "its time, tomorrow UTC"


def test_wait_ends_with_0_on_c_and_1_on_a_final_e(run: Terminal, calls: Calls) -> None:
    error = {"error_class": "BadData", "error_text": "표가 비었다\nmore"}
    good, bad = calls.add(state="C", progress=1), calls.add(state="E", **error)
    late = calls.add()

    assert f"deepcredit batch retry {bad}" in run("batch", "show", bad)[1]
    assert "deepcredit" not in run("batch", "show", good)[1]
    assert run("batch", "wait", good)[0] == 0
    said = f"error: batch {bad} failed: BadData: 표가 비었다"
    assert run("batch", "wait", bad)[::2] == (1, f"{said}\n")
    cancelled = calls.add()
    run("batch", "cancel", cancelled)
    assert run.error("batch", "wait", cancelled) == (
        f"batch {cancelled} was cancelled while no launcher ran it"
    )
    code, _, err = run("batch", "wait", late, "--timeout", "0")
    assert code == 1
    assert "has not ended after 0 s" in err


def test_wait_says_what_a_batch_waits_for_once_until_that_changes(
    run: Terminal, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = calls.add(progress_note="3 of 8 models")
    running = {"state": "U", "progress": 0.5}
    happens = iter([None, {"queue": "night"}, None, None, running, {"state": "C"}])

    def sleep(_seconds: float) -> None:
        if values := next(happens):
            calls.change(number, **values)

    calls.register("S1")
    monkeypatch.setattr("launcher.terminal.following.time.sleep", sleep)

    assert run("batch", "wait", number) == (
        0,
        f"batch {number} completed: 3 of 8 models\n",
        (
            f"batch {number}:   0% waits for a free server\n"
            f"batch {number}:   0% waits for a launcher that serves queue night (none does)\n"
            f"batch {number}:  50% 3 of 8 models\n"
        ),
    )


def test_wait_outlasts_a_database_that_is_away_for_a_while(
    bare: Terminal, database: str, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare("db", "upgrade")
    mariadb_server.client("INSERT INTO dc_batch (mode) VALUES ('train')", database)
    complete = partial(mariadb_server.client, "UPDATE dc_batch SET state = 'C'", database)
    with proxied(mariadb_server.port) as proxy:
        url = make_url(mariadb_server.url(database)).set(port=proxy.port)
        monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", str(url))
        happens = iter([proxy.cut, proxy.restore, complete])
        clock = SimpleNamespace(sleep=lambda _: next(happens)())  # the proxy sleeps by its own
        monkeypatch.setattr("launcher.terminal.following.time", clock)

        code, out, err = bare("batch", "wait", 1)

        assert (code, out) == (0, "batch 1 completed\n")
        waits = "batch 1:   0% waits for a launcher (none runs)\n"
        first, away, after = err.splitlines(keepends=True)
        assert (first, after) == (waits, waits)
        assert away.startswith("batch 1:   0% the database does not answer")
        assert away.endswith("; trying on\n")
        proxy.cut()
        assert bare.error("batch", "wait", 1).startswith("the database does not answer")


def test_bytes_that_somebody_has_written_as_text_keep_no_list_from_programs(
    run: Terminal, calls: Calls
) -> None:
    calls.add(batch_desc="신용")
    calls.sql("INSERT INTO dc_batch (mode, batch_desc) VALUES ('train', x'ff41')")

    assert [row["batch_desc"] for row in run.rows("batch", "list")] == ["\\xffA", "신용"]
    assert "\\xffA" in run("batch", "list", "--format", "csv")[1]
