"""Installing without internet: the commands of the page as they stand, with a few small wheels."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import files, version
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.bank import ROOT
from tests.blocks import blocks

LOCKS = {"requirements.lock": ("packaging", "setuptools"), "requirements-dev.lock": ("pluggy",)}
SOURCE = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "deepcredit"
version = "1"
[tool.setuptools]
py-modules = []
"""


@pytest.mark.slow
def test_a_wheel_house_is_all_that_an_installation_needs(tmp_path: Path) -> None:
    index, source = tmp_path / "index", tmp_path / "source"
    (source / ".ci").mkdir(parents=True)
    index.mkdir()
    for lock, names in LOCKS.items():
        (source / lock).write_text("".join(f"{name}=={version(name)}\n" for name in names))
        for name in names:
            _put_wheel(name, index)
    (source / "pyproject.toml").write_text(SOURCE)
    shutil.copy(ROOT / "Makefile", source)
    shutil.copy(ROOT / ".ci" / "setup", source / ".ci")
    (source / ".ci" / "compile.py").touch()
    installed = _environment(source / ".venv")
    page = blocks(ROOT / "docs" / "servers.md")
    download, install = (block.text for block in page if block.language == "bash")

    _shell(download, source, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    shutil.rmtree(index)
    _shell(install, source)

    names = {path.name.partition("-")[0] for path in installed.glob("*.dist-info")}
    assert names == {"deepcredit", "packaging", "pip", "pluggy", "setuptools"}


def _environment(folder: Path) -> Path:
    """A virtual environment that borrows our pip, as unpacking one takes seconds; returns where
    packages go.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).glob("pip*"):
        (packages / path.name).symlink_to(path)
    (folder / "bin" / "pip").symlink_to(Path(sys.executable).parent / "pip")
    return packages


def _put_wheel(name: str, folder: Path) -> None:
    """Make a wheel of what is installed."""
    with ZipFile(folder / f"{name}-{version(name)}-py3-none-any.whl", "w") as wheel:
        for file in files(name) or ():
            if file.suffix != ".pyc":
                wheel.write(file.locate(), str(file))


def _shell(script: str, folder: Path, **more: str) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PIP_"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=env | more,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
