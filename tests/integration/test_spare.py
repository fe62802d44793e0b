import subprocess
import sys
from collections.abc import Iterator

import pytest

from launcher.spare import WARM, Spare

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


def test_a_dismissed_spare_is_gone(spare: Spare) -> None:
    spare.prepare()
    process = spare._process

    spare.dismiss()

    assert process.poll() is not None
