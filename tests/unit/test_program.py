"""Where processes of ours begin."""

import subprocess
import sys
from pathlib import Path

from launcher.host import python

BEGUN = """
import gc, multiprocessing, sys

collected_while_imported = gc.isenabled()

def main():
    print(collected_while_imported, gc.isenabled(), gc.get_freeze_count() > 0, sys.argv, flush=True)
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=exec, args=("import sys; print('begun' in sys.modules)",))
    child.start()
    child.join()
    return 3
"""


def test_what_it_imports_is_no_garbage_and_not_imported_by_its_own_processes(
    tmp_path: Path,
) -> None:
    (tmp_path / "begun.py").write_text(BEGUN, encoding="utf-8")
    environment = python.environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"

    done = subprocess.run(
        [*python.program("begun"), "a word"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == ["False True True ['begun', 'a word']", "False"]
    assert (done.returncode, done.stderr) == (3, "")


# As pip's script begins, with a look at what a command finds.
COMMAND = """
import gc
from launcher import __main__
imported = gc.isenabled()

import typer
from configs import plugins

def find(name, load=plugins.load):
    module = load(name)
    imported_too = gc.isenabled()
    module.app = typer.Typer()
    module.app.command()(
        lambda: print(imported, imported_too, gc.isenabled(), gc.get_freeze_count() > 0)
    )
    return module

plugins.load = find
__main__.main()
"""


def test_nor_is_what_a_command_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, "queue"],
        env=python.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("False False True True\n", "")
