"""When `make setup` installs anew: by content, whatever the times of the files say."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bank import ROOT

NAMES = ("requirements.lock", "requirements-gpu.lock", "requirements-dev.lock", "pyproject.toml")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A source folder whose .ci/setup only counts how often it is called, and with which lock."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in NAMES:
        (tmp_path / name).write_text(f"{name} of the first release\n")
    script = tmp_path / ".ci" / "setup"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nmkdir -p "$2"\necho "$3" >>"$2/calls"\n')
    script.chmod(0o755)
    return tmp_path


def calls(release: Path, *words: str) -> list[str]:
    subprocess.run(
        ["make", "setup", *words],
        cwd=release,
        env={name: value for name, value in os.environ.items() if "MAKE" not in name},
        check=True,
        capture_output=True,
    )
    return (release / ".venv" / "calls").read_text().split()


def test_what_is_installed_is_not_installed_again(release: Path) -> None:
    assert calls(release) == calls(release) == ["requirements.lock"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "pyproject.toml"])
def test_a_release_is_installed_though_its_files_are_older(release: Path, name: str) -> None:
    calls(release)
    (release / name).write_text(f"{name} of the second release\n")
    os.utime(release / name, (0, 0))  # as tar leaves it

    assert calls(release) == ["requirements.lock"] * 2
    assert calls(release) == ["requirements.lock"] * 2


def test_another_lock_is_installed(release: Path) -> None:
    assert calls(release)[-1] == "requirements.lock"
    assert calls(release, "GPU=1")[-1] == "requirements-gpu.lock"
    assert calls(release)[-1] == "requirements.lock"
