"""Processes that the code under test starts and forgets, since its own process ends soon."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def ended_afterwards() -> Iterator[None]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: Any, start: Any = subprocess.Popen, **named: Any) -> Any:
        started.append(start(*words, **named))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", start)
        try:
            yield
        finally:
            for process in started:
                process.kill()
                process.wait(20)
