"""What a field of a pydantic model may be, in words: for documents and for errors."""

import json
import types
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

_NAMES = {int: "whole number", float: "number", bool: "true, false", str: "text"}
_LIMITS = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "its length at least",
}


def allowed(field: FieldInfo) -> str:
    """Type and limits, such as `whole number, at least 1`."""
    return _words(field.annotation, field.metadata)


def choices(annotation: Any) -> tuple[str, ...]:
    """The texts that a type names one by one."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return tuple(part for part in parts if isinstance(part, str))
    return tuple(text for part in parts for text in choices(part))


def _words(annotation: Any, limits: list[Any]) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(json.dumps, parts))
    if hasattr(annotation, "__metadata__"):
        metadata = [part for each in annotation.__metadata__ for part in _parts(each)]
        return _words(parts[0], metadata)
    if origin in (tuple, list):
        return f"list of {_words(parts[0], [])}s" + _limited(limits)
    if origin is dict:
        return "object"
    if isinstance(annotation, types.UnionType) or origin is not None:
        kinds = [part for part in parts if part is not type(None)]
        return " or ".join(_words(part, limits) for part in kinds)
    return _NAMES.get(annotation, "value") + _limited(limits)


def _parts(each: Any) -> list[Any]:
    return list(getattr(each, "metadata", [each]))


def _limited(limits: list[Any]) -> str:
    return "".join(
        f", {words} {getattr(limit, name)}"
        for limit in limits
        for name, words in _LIMITS.items()
        if hasattr(limit, name)
    )
