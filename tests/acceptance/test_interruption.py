"""Ctrl-C, and other ends of commands that run as a process of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from tests.calls import FAR, Calls
from tests.terminal import Terminal


def test_a_batch_run_in_the_foreground_ends_with_its_error(run: Terminal, calls: Calls) -> None:
    calls.add(dataset_group="D", dataset_version=1, model_group="M")

    done = subprocess.run(
        [sys.executable, "-m", "launcher", "run", "1"],
        env=run.environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: batch 1 failed: NotFound: unknown ")
    assert "deepcredit batch retry 1" in run.error("run", "1")


def test_a_run_that_will_be_tried_again_says_why_and_when_without_a_traceback(
    run: Terminal, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = {"state": "E", "run_after": FAR, "attempt": 1}
    number = calls.add(**again, error_class="StoreUnavailable", error_text="no answer\nand more")

    def fails(*_: object, **__: object) -> bool:
        try:
            raise OSError
        except OSError:
            structlog.get_logger().exception("run failed")
        return False

    monkeypatch.setattr("launcher.commands.run.run_one", fails)
    code, out, err = run("run", number)

    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"error: batch {number} failed for now: StoreUnavailable: no answer; a launcher tries it "
        f"again at 2999-01-01 00:00:00 UTC, or at once after `deepcredit batch retry {number}`"
    )
    assert "run failed" in err
    assert "Traceback" not in err
    assert "Traceback" in run("--debug", "run", number)[2]
    assert Path("logs/run.log").read_text(encoding="utf-8").count("Traceback") == 2


def test_ctrl_c_leaves_the_batch_that_one_waits_for_alone(run: Terminal, calls: Calls) -> None:
    number = calls.add(state="U", progress=0.4, progress_note="반")

    assert _interrupted(run, "batch", "wait", str(number)) == (
        130,
        f"batch {number}:  40% 반\nbatch {number} goes on without you\n",
    )
    assert calls.states() == "U"
    assert calls.value("SELECT cancel_requested_at FROM dc_batch") is None


def _interrupted(run: Terminal, *words: str) -> tuple[int, str]:
    """Exit code and stderr of a command that Ctrl-C ends after its first line on stderr."""
    command = [sys.executable, "-m", "launcher", *words]
    with subprocess.Popen(command, env=run.environment(), stderr=subprocess.PIPE) as running:
        assert running.stderr
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        return running.wait(60), (first + running.stderr.read()).decode()


@pytest.mark.parametrize("library", ["typer", "sqlalchemy"])  # of all commands; of some
def test_ctrl_c_before_a_command_begins_says_nothing(
    run: Terminal, tmp_path: Path, library: str
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / f"{library}.py").write_text("raise KeyboardInterrupt\n")
    env = run.environment()
    env["PYTHONPATH"] = f"{first}{os.pathsep}{env['PYTHONPATH']}"

    done = subprocess.run(
        [sys.executable, "-m", "launcher", "batch", "list"],
        env=env,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_gives_a_batch_back_that_runs_here(stocked: Terminal, calls: Calls) -> None:
    number = calls.add(dataset_group="DATA001", dataset_version=1, model_group="M100")

    code, said = _interrupted(stocked, "run", str(number))

    assert code == 1
    assert said.splitlines()[-1] == (
        f"error: batch {number} was given back and waits; what it has finished is kept, and "
        f"`deepcredit run {number}` or any launcher goes on with it"
    )


def test_ctrl_c_while_data_are_loaded_registers_nothing(run: Terminal) -> None:
    rows = "".join(f"{number},{number % 7},{number % 2}\n" for number in range(300_000))
    Path("big.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")

    words = ("dataset", "load", "big.csv", "--group", "BIG", "--target", "y")
    code, said = _interrupted(run, *words)

    assert (code, said.splitlines()[-1]) == (130, "stopped: nothing was registered")
    assert "no data set" in run("dataset", "list")[2]
