"""Why a process died, from what it wrote to its log."""

from collections.abc import Iterable, Iterator

_TRACEBACK = "Traceback (most recent call last):"
_FEW = 3
_LONGEST = 500


def last_words(text: str) -> str:
    """The errors of its tracebacks, each once; where there is none, its last lines."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    # If errors follow from each other, the first one is the cause.
    errors = list(dict.fromkeys(_errors(lines)))
    words = [*errors[:1], *errors[1:][1 - _FEW :]] or lines[-_FEW:]
    return " | ".join(line.strip()[:_LONGEST] for line in words)


def _errors(lines: Iterable[str]) -> Iterator[str]:
    """The line below each traceback: the first that is neither indented nor marks a place."""
    inside = False
    for line in lines:
        if line.endswith(_TRACEBACK):
            inside = True
        elif inside and not line[0].isspace() and line.strip("^~ "):
            inside = False
            yield line
