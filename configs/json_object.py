"""A JSON object as people write it: each name once, no number that JSON does not know, and not too
deep for who reads it on.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from configs.errors import BadParameter

_KINDS = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
_LONGEST = 30
_DEEPEST = 20  # lists and objects in each other; no parameter has half as many
_DIGITS_COMMA, _DIGITS = re.compile(r"-?[0-9]+,\Z"), re.compile(r"[0-9]+")


def read_object(text: str | None, name: str, example: str) -> dict[str, Any]:
    """The object, an empty one of NULL and of blank text.

    Raises:
        BadParameter: beginning with `name`, what the text is to people; `example` is one that
            would do.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise BadParameter(f"{name}: {key} is written twice")
            values[key] = value
        return values

    def refuse(constant: str) -> NoReturn:
        raise BadParameter(f"{name}: {constant} is no JSON number")

    if text is None or not text.strip():
        return {}
    try:
        values = json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:  # also a number of too many digits
        raise BadParameter(f"{name}: not JSON: {_reason(text, error)}") from None
    if _is_deep(values):
        raise _too_deep(name)
    if not isinstance(values, dict):
        kind = _KINDS[type(values)]
        raise BadParameter(f"{name}: it must be a JSON object, such as {example}, not {kind}")
    return values


def _is_deep(values: object) -> bool:
    level: Iterable[object] = [values]
    for _ in range(_DEEPEST + 1):
        level = [inner for value in level for inner in _inside(value)]
    return bool(level)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(name: str) -> BadParameter:
    return BadParameter(
        f"{name}: lists and objects are nested more than {_DEEPEST} levels deep, as no parameter is"
    )


def _reason(text: str, error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return f"a number has more than {sys.get_int_max_str_digits()} digits"
    return _comma(text, error) or str(error)


def _comma(text: str, error: json.JSONDecodeError) -> str | None:
    """What to say where a number with a comma in it keeps a text from being JSON."""
    # No farther back than numbers go: to look through a long text from each digit takes minutes.
    before = _DIGITS_COMMA.search(text[max(0, error.pos - _LONGEST) : error.pos])
    after = _DIGITS.match(text[error.pos :])
    if before is None or after is None:
        return None
    return (
        f"{before[0]}{after[0]} is no number: decimals take a point, thousands nothing (line "
        f"{error.lineno} column {error.colno})"
    )
