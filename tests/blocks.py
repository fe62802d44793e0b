"""Code blocks of the documents that are marked to be run or written to a file."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^<!-- (run|file (\S+)) -->\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    file: str | None


def blocks(path: Path) -> list[Block]:
    """The marked blocks of a page, in order."""
    found = _BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [Block(match[3], match[4], match[2]) for match in found]
