"""Commands that run in this process: to load what they need takes longer than what they do."""

import io
import os
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from launcher.cli import execute


def deepcredit(folder: Path, env: Mapping[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that is typed in this folder."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        patch.dict(os.environ, env, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = execute(words)
    return code, out.getvalue(), err.getvalue()
