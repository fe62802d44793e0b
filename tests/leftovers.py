"""What a process leaves in the place of its scratch when it is killed."""

import subprocess
import sys
from pathlib import Path

_HOLDER = """
import sys
from pathlib import Path
from storage import scratch
with scratch.folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(parent: Path) -> "subprocess.Popen[str]":
    """A process that has made a folder there, and said which on its stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def left_behind(parent: Path) -> Path:
    """A folder of a process that is dead."""
    parent.mkdir(parents=True, exist_ok=True)
    with holder(parent) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().rstrip())
        process.kill()
    assert folder.is_dir()
    return folder
