"""`deepcredit results` and `leaderboard`, and how tables fit where they are printed."""

import csv
import io
import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from rich.cells import cell_len
from sqlalchemy import insert, literal

from storage.columns import utc_now
from storage.schema import dc_batch_result, dc_batch_result_t4
from tests.calls import Calls
from tests.terminal import Terminal


@pytest.fixture
def trained(run: Terminal, calls: Calls) -> Terminal:
    """A batch with two good models and one that failed."""
    number = calls.add(dataset_group="D1", dataset_version=1)
    rows = [
        {
            "batch_id": number,
            "model_no": model_no,
            "model_sub_no": 1,
            "split": split,
            "fence": 1,
            "model_id": "DL-TABNET",
            "state": "C" if auc else "E",
            "auc": auc,
            "n_rows": 9000,
            "error_text": None if auc else "Traceback\nValueError: [diverged] 발산",
        }
        for model_no, auc in ((1, 0.75), (2, None), (3, 0.5))
        for split in ("valid", "test")
    ]
    calls(lambda connection: connection.execute(insert(dc_batch_result), rows))
    return run


def test_results_show_models_and_those_that_failed_with_their_error(trained: Terminal) -> None:
    code, out, _ = trained("results", "1")

    good, _, failed = out.partition("failed:")
    assert code == 0
    assert re.search(r"^ *1/1 +DL-TABNET +valid +9000 +0\.7500", good, re.MULTILINE)
    assert "2/1" not in good
    assert "ValueError: [diverged] 발산" in failed


def test_results_show_how_far_scores_have_shifted_where_they_were_compared(
    trained: Terminal, calls: Calls
) -> None:
    assert "psi" not in trained("results", "1")[1]

    calls.sql("UPDATE dc_batch_result SET psi = 0.1236 WHERE model_no = 1")

    lines = _on_terminal(trained, "results", "1", columns=80)
    good = "\n".join(lines).partition("failed:")[0]
    assert re.search(r"^ *1/1 .* 0\.124 ", good, re.MULTILINE)
    assert max(map(cell_len, lines)) <= 80


def test_results_as_csv_and_json_have_every_column(trained: Terminal) -> None:
    rows = list(csv.DictReader(io.StringIO(trained("results", "1", "--format", "csv")[1])))
    same = trained.rows("results", "1")

    assert len(rows) == len(same) == 6
    assert set(rows[0]) == set(same[0]) == {column.name for column in dc_batch_result.columns}
    assert same[0]["auc"] == 0.75
    assert rows[2]["auc"] == ""


def test_no_results_yet_are_no_error_but_no_batch_is(run: Terminal, calls: Calls) -> None:
    calls.add()

    assert run("results", "1")[::2] == (0, "batch 1 has no results yet\n")
    assert "batch 2 does not exist" in run.error("results", "2")
    assert run("leaderboard")[::2] == (0, "no trained model yet\n")


def test_a_csv_without_rows_has_the_heading_of_one_with_them(
    run: Terminal, calls: Calls, request: pytest.FixtureRequest
) -> None:
    """Programs read it by the names of its columns."""
    first, searched = calls.add(), calls.add(mode="ensemble")
    asked = ("model list", "dataset list", "leaderboard", f"results {first}")
    asked += (f"results {searched}", "batch list --state C", "candidates list")

    def headings() -> tuple[dict[str, str], set[int]]:
        printed = {words: run(*words.split(), "--format=csv") for words in asked}
        lines = {words: out.splitlines() for words, (_, out, _) in printed.items()}
        return {words: found[0] for words, found in lines.items()}, set(map(len, lines.values()))

    empty, lengths = headings()
    assert lengths == {1}
    request.getfixturevalue("stocked")
    calls.add_model(first)
    calls.change(first, state="C")
    judged = {"batch_id": searched, "ensemble_no": 1, "rank_no": 1, "split": "valid"}
    found = insert(dc_batch_result_t4).values(judged)
    calls(lambda connection: connection.execute(found))
    assert run("candidates", "add", "C001", "--from-batch", first)[0] == 0

    full, lengths = headings()
    assert 1 not in lengths
    assert full == empty
    assert full[f"results {searched}"].startswith("candidate_id,batch_id,rank_no,ensemble_no,")
    assert full["dataset list"].startswith("name,features,dataset_group,")


def test_a_leaderboard_of_what_does_not_exist_is_an_error(stocked: Terminal, calls: Calls) -> None:
    number = calls.add(dataset_group="DATA001", dataset_version=1)
    predict = calls.add(mode="predict")

    def said(*options: object) -> str:
        return stocked.error("leaderboard", *options)

    assert said("--batch", "9") == "batch 9 does not exist; none has models yet"
    assert said("--batch", predict) == (
        f"batch {predict} is of mode predict; name a train batch; none has models yet"
    )
    assert said("--dataset", "D/1") == "unknown data set D/1; there are: DATA001/1"
    for options in (("--batch", number), ("--dataset", "DATA001/1")):
        assert stocked("leaderboard", *options) == (0, "", "no trained model yet\n")
    calls.change(number, state="E", error_class="BadData", error_text="표가 비었다")
    assert said("--batch", number) == f"batch {number} failed: BadData: 표가 비었다"


def test_a_leaderboard_says_on_how_many_rows_and_whether_on_the_same(
    stocked: Terminal, calls: Calls
) -> None:
    first, second, third = (calls.add(dataset_group="D", dataset_version=1) for _ in range(3))
    calls.add_model(first, split_id="a", test={"n_rows": 9000, "fn": 1000, "tp": 836})
    calls.add_model(second, split_id="a", test={"n_rows": 9000, "fn": 900, "tp": 936})

    same = stocked("leaderboard")[1]
    calls.add_model(third, split_id="b", test={"n_rows": 40, "fn": 2, "tp": 3})
    calls.add_model(third, 2, split_id="b", test={"n_rows": 40})
    different = stocked("leaderboard")[1]
    alone = stocked("leaderboard", "--batch", third)[1]
    plain = stocked.rows("leaderboard")

    assert "test bad/n" in same
    assert same.count("1836/9000") == 2
    assert "5/40" in different
    assert "splits" not in same + alone
    assert different.startswith(
        "these models are of 2 splits (tested on 40 to 9,000 rows); figures compare where both "
        "have set aside the same rows, as within a batch: --batch ID lists models of one\n"
    )
    assert [row["split_id"] for row in plain] == ["a", "a", "b", "b"]


def test_a_batch_that_failed_has_no_results_to_wait_for(run: Terminal, calls: Calls) -> None:
    calls.add()
    error = {"error_class": "BadData", "error_text": "표가 비었다\nmore", "max_attempts": 3}
    later = {"state": "E", "run_after": utc_now(literal(3600.0)), "attempt": 1, **error}
    asks = [("results", "1"), ("ensemble", "members", "1", "1")]

    calls.change(1, **later, mode="ensemble")
    assert run(*asks[0])[::2] == (0, "batch 1 has no results yet\n")
    assert run.error(*asks[1]) == "batch 1 has no report yet"

    calls.change(1, run_after=None)
    for words in asks:
        assert run.error(*words) == "batch 1 failed: BadData: 표가 비었다"


def test_a_batch_of_which_every_model_failed_shows_them_and_why(
    trained: Terminal, calls: Calls
) -> None:
    calls.sql("UPDATE dc_batch_result SET state = 'E'")
    calls.change(1, state="E", error_class="AllModelsFailed", error_text="none")

    code, out, err = trained("results", "1")

    assert code == 1
    assert "ValueError: [diverged] 발산" in out
    assert err == "error: batch 1 failed: AllModelsFailed: none\n"


def test_tables_fit_a_terminal_of_80_columns_also_in_korean(run: Terminal, calls: Calls) -> None:
    text = "저축은행 신용평가 모형 재학습: 이천이십육년 하반기 신청자 전체를 대상으로 한다"
    calls.add(batch_desc=text, state="E", error_class="BadData", error_text=text * 3)

    _, *lines = _on_terminal(run, "batch", "list", columns=80)  # the first names the database

    assert max(map(cell_len, lines)) <= 80
    assert "하반기" in "".join(lines)


def test_what_is_left_out_to_fit_a_terminal_is_named_there(trained: Terminal) -> None:
    def said(columns: int) -> list[str]:
        lines = _on_terminal(trained, "results", "1", columns=columns)
        return [line for line in lines if "left out" in line]

    assert said(80) == ["left out to fit: recall, brier, threshold; --format csv has all"]
    assert said(120) == []
    assert "left out" not in trained("results", "1")[1]


def test_a_narrow_terminal_shows_of_which_part_the_figures_are(trained: Terminal) -> None:
    first = _on_terminal(trained, "results", "1", columns=60)[2]

    assert first.split()[:3] == ["1/1", "DL-TABNET", "valid"]


def test_a_long_text_is_cut_in_a_pipe_and_whole_in_csv(run: Terminal, calls: Calls) -> None:
    text = "저축은행 " * 60
    calls.add(state="E", error_class="BadData", error_text=text)

    table = run("batch", "list")[1]
    (row,) = csv.DictReader(io.StringIO(run("batch", "list", "--format", "csv")[1]))

    assert max(map(cell_len, table.splitlines())) < 220
    assert "BadData: 저축은행 " in table
    assert "…" in table
    assert row["last_error"] == f"BadData: {text}"


def _on_terminal(run: Terminal, *words: str, columns: int) -> list[str]:
    """What a command prints on a terminal so wide, without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    env = run.environment() | {"NO_COLOR": "1", "TERM": "xterm"}
    env.pop("COLUMNS")
    process = subprocess.Popen([sys.executable, "-m", "launcher", *words], stdout=theirs, env=env)
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    assert process.wait(20) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.decode("utf-8")).splitlines()
