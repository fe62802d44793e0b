"""What pydantic complains of, in the words of our own messages."""

import re

_HOW_IT_TRIED = re.compile(r", (unable to|got a number) .*")
_WORDS = {
    "Value error, ": "",
    "String should match pattern": "it must match",
    "Input should be": "it must be",
    "a valid integer": "a whole number",
    "a valid ": "a ",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}


def plain(complaint: str) -> str:
    text = _HOW_IT_TRIED.sub("", complaint)
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text
