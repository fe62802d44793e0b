"""Words of messages: nouns that are counted, and what others complain of as we would say it."""

import re

_HOW_IT_TRIED = re.compile(r"(, (unable to|got a number)| for <class) .*")
_WORDS = {
    "Value error, ": "",
    "String should match pattern": "it must match",
    "Input should be": "it must be",
    "Input is not a valid path": "it must be a path, in quotes",
    "a valid string": "a text, in quotes",
    "a valid integer": "a whole number",
    "a valid ": "a ",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}


def counted(number: int, one: str, many: str = "") -> str:
    """`1 model`, `1,000 models`; `many` is where an s alone does not do."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def refusal(error: Exception) -> str:
    """What the operating system refused, as with a full disk; empty: it is another error."""
    if not isinstance(error, OSError) or not error.strerror:
        return ""
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return "the working directory is gone; change to another"
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def plain(complaint: str) -> str:
    """What pydantic or typer complains of."""
    text = _HOW_IT_TRIED.sub("", complaint)
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text
