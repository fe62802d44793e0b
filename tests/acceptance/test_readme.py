"""The README's first real batch, block by block, on MariaDB."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.demo.applicants import write_csv
from tests.bank import ROOT, environment
from tests.blocks import blocks
from tests.mariadb import PASSWORD, MariaDB

METHODS = {"vote", "all", "mean", "greedy", "weighted", "stack", "tuned", "single"}


@pytest.mark.slow
def test_the_first_real_batch_of_the_readme_runs(tmp_path: Path, mariadb_server: MariaDB) -> None:
    database = mariadb_server.new_database()
    where = {"DATABASE_URL": mariadb_server.url(database), "DATABASE_PASSWORD": PASSWORD}
    env = environment(tmp_path, **where, WORKERS="1")  # each one loads the libraries
    env["PATH"] = f"{_command(tmp_path)}{os.pathsep}{env['PATH']}"
    demo = tmp_path / "var" / "demo" / "demo.csv"
    demo.parent.mkdir(parents=True)
    write_csv(demo, rows=1500)
    answers = []

    for block in blocks(ROOT / "README.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "sql":
            answers.append(mariadb_server.client(block.text, database))
        else:
            _run(block.text, tmp_path, env)

    inserted, answer, listed, methods = answers
    assert inserted == listed == ""
    lines = [line.split("\t") for line in answer.splitlines()]
    assert [line[:4] for line in lines[:2]] == [
        ["1", "train", "completed", "1"],
        ["2", "predict", "completed", "1"],
    ]
    models = lines[2:7]
    assert sorted((line[0], line[1], line[2]) for line in models) == [
        ("ML-RF", "102", "1"),
        *(("ML-XGB", "101", str(variant)) for variant in (1, 2, 3, 4)),
    ]
    assert all(0.6 < float(line[4]) < 0.95 for line in models)
    assert all(float(line[5]) != 0.5 and float(line[6]) > 0.15 for line in models)
    assert [line[2] for line in lines[7:]] == ["test"] * 5
    with (tmp_path / "var" / "scores.csv").open(encoding="utf-8") as file:
        scored = list(csv.DictReader(file))
    (counted,) = (line for line in lines[7:] if line[:2] == ["101", "1"])
    assert len({row["id"] for row in scored}) == len(scored) == 450
    pairs = [row["target"] + row["called"] for row in scored]
    assert [str(pairs.count(pair)) for pair in ("00", "01", "10", "11")] == counted[3:7]
    found = {line.split("\t")[0]: line.split("\t")[1:] for line in methods.splitlines()}
    assert set(found) == METHODS
    assert [name for name, columns in found.items() if columns[0] == "1"] == ["vote"]
    assert all(float(columns[3]) > 0.15 for columns in found.values())
    mariadb_server.drop_database(database)


def _command(folder: Path) -> Path:
    """A folder with a command `deepcredit`, as an installation has it."""
    path = folder / "bin" / "deepcredit"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m launcher "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path.parent


def _run(script: str, folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
