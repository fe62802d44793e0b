"""What operators come upon, as commands tell of it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from launcher.cli import execute
from storage import batches
from storage.columns import utc_now
from tests.calls import Calls

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_engine: Engine) -> Calls:
    """Commands in a folder of its own find this database."""
    for name in os.environ:
        if name.startswith("DEEPCREDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{sqlite_engine.url.database}")
    return Calls(sqlite_engine)


@pytest.fixture
def run(calls: Calls, capsys: pytest.CaptureFixture[str]) -> Run:
    def execute_and_read(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = execute(words)
        return code, *capsys.readouterr()

    return execute_and_read


def found(run: Run, level: str, subject: str) -> list[str]:
    return re.findall(f"^{level} +{subject} +(.*)$", run("doctor")[1], re.MULTILINE)


def test_a_batch_that_was_set_to_run_by_hand_is_named_until_it_waits(
    run: Run, calls: Calls
) -> None:
    calls.add()
    calls.take()
    assert found(run, "WARN", "launchers") == []

    ended = calls.add()
    calls.finish(calls.take(batch_id=ended))
    by_hand = [calls.add(state="U", lease_until=utc_now(60)), ended]
    calls.sql("UPDATE dc_batch SET state = 'U' WHERE batch_id = :n", n=ended)

    said = (
        "nobody runs batch {}: in U, but no launcher has claimed it; "
        "`deepcredit batch rerun {}` lets it wait for one"
    )
    numbers = ", ".join(map(str, sorted(by_hand)))
    assert found(run, "WARN", "launchers") == [said.format(numbers, ended)]
    assert run("status")[1].count("U was set by hand") == 2

    for number in by_hand:
        calls(batches.rerun, number)
    assert [line for line in found(run, "WARN", "launchers") if "nobody runs" in line] == []


def test_scores_go_over_no_file_unless_one_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("of another batch", encoding="utf-8")
    command = ("scores", "1", "--to", str(path))

    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert f"{path} is there already; name another file, or say --force" in err

    code, _, err = run(*command, "--force")
    assert (code, "batch 1 does not exist" in err) == (1, True)
    assert path.read_text(encoding="utf-8") == "of another batch"


@pytest.mark.parametrize(
    ("table", "start"),
    [("", "start it"), ('[cluster]\nhosts = ["127.0.0.1"]\n', "`deepcredit cluster start`")],
)
def test_a_cluster_that_is_away_is_started_as_it_is_configured(
    run: Run, tmp_path: Path, table: str, start: str
) -> None:
    settings = 'scheduler = "tcp://127.0.0.1:9"\n' + table
    (tmp_path / "deepcredit.toml").write_text(settings, encoding="utf-8")

    (line,) = found(run, "FAIL", "dask")
    assert line.startswith("nothing answers at tcp://127.0.0.1:9: ")
    assert line.endswith(f"; {start} or check DEEPCREDIT_SCHEDULER")
