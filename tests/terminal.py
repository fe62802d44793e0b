"""A terminal at which tests type commands; they run in the test's own process."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.settings import load
from launcher.cli import execute
from tests.bank import environment

APPLICANTS = """번호,나이,지역,소득,연체
1,34,서울,3200,0
2,51,부산,96,1
3,28,서울,2800,0
4,45,대구,,1
5,39,서울,4100,0
6,62,부산,3900,1
"""
MODELS = """
[[model]]
model_no = 1
model_id = "ML-XGB"
model_group_id = "M100"
model_desc = "부스팅"
param = { n_estimators = 20, grid = { max_depth = [2, 3] } }

[[model]]
model_no = 2
model_id = "ML-RF"
model_group_id = "M100"
use_yn = "N"
"""


class Terminal:
    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command."""
        self._captured.readouterr()
        code = execute([str(word) for word in words])
        return code, *self._captured.readouterr()

    def environment(self) -> dict[str, str]:
        """In which a command that runs as a process of its own finds the same database, and starts
        few others.
        """
        return environment(Path.cwd(), DATABASE_URL=load().database_url, WORKERS="1")

    def error(self, *words: object, code: int = 1) -> str:
        """The one line of an error that a command ends with, without what begins all of them."""
        found, out, err = self(*words)
        assert (found, out) == (code, ""), err
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    def rows(self, *words: object) -> list[dict[str, Any]]:
        """What a command prints as a table, unformatted."""
        found: list[dict[str, Any]] = json.loads(self(*words, "--format", "json")[1])
        return found
