"""A JSON object as people write it: each name once, and no number that JSON does not know."""

import json
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
    except (ValueError, RecursionError) as error:  # also a number of too many digits
        raise BadParameter(f"{name}: not JSON: {error}") from None
    if not isinstance(values, dict):
        kind = _KINDS[type(values)]
        raise BadParameter(f"{name}: it must be a JSON object, such as {example}, not {kind}")
    return values
