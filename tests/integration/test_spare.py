import subprocess
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from launcher.service.child import spawn
from launcher.service.spare import WARM, Spare

WAITS = [sys.executable, "-c", "import sys; print(sys.argv[1:], flush=True); sys.stdin.read()"]


@pytest.fixture
def spare() -> Iterator[Spare]:
    spare = Spare(WAITS)
    yield spare
    spare.dismiss()


def said(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout
    return process.stdout.readline()


def put_away(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        process.communicate(timeout=20)


def test_the_child_kept_ready_is_taken_once(spare: Spare) -> None:
    spare.prepare()
    spare.prepare()

    first, second = spare.take(), spare.take()

    assert said(first) == f"['{WARM}']\n".encode()
    assert said(second) == b"[]\n"
    put_away(first, second)


def test_a_spare_that_died_is_replaced(spare: Spare) -> None:
    spare.prepare()
    dead = spare.take()
    put_away(dead)
    spare.prepare()
    spare._process.kill()
    spare._process.wait()

    process = spare.take()

    assert said(process) == b"[]\n"
    put_away(process)


@pytest.mark.parametrize(
    "command", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(3)"]]
)
def test_a_child_that_cannot_be_kept_ready_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    started = []

    def noted(words: list[str]) -> "subprocess.Popen[bytes]":
        started.append(words)
        return spawn(words)

    monkeypatch.setattr("launcher.service.spare.spawn", noted)
    spare = Spare(command)
    with capture_logs() as logged:
        spare.prepare()
        if spare._process is not None:
            spare._process.wait()
        for _ in range(5):
            spare.prepare()

    assert len(started) == 1
    assert [line["event"] for line in logged] == ["no child is kept ready"]


def test_a_dismissed_spare_is_gone(spare: Spare) -> None:
    spare.prepare()
    process = spare._process

    spare.dismiss()

    assert process.poll() is not None
