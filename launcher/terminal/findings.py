"""What an examination says: findings, each in order, doubtful or wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was found, and what to do about it if it is not in order."""

    level: Level
    subject: str
    text: str


Said = tuple[Level, str]
Found = Iterator[Said]


def ok(text: str) -> Said:
    return Level.OK, text


def warn(text: str) -> Said:
    return Level.WARN, text


def fail(text: str) -> Said:
    return Level.FAIL, text
