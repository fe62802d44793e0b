"""UBJSON as XGBoost writes it, read without trust: whatever else UBJSON allows is an error.

Two readers of one file must not see two things in it, so nothing is skipped and no name may come
twice.
"""

import struct
from typing import Any

_INTEGERS = dict(zip(b"iIlL", (1, 2, 4, 8), strict=True))
"""Bytes of each type."""
_NUMBERS = _INTEGERS | dict(zip(b"UdD", (1, 4, 8), strict=True))
_OBJECT, _END, _ARRAY, _TEXT, _LENGTH = b"{}[SL"
_COUNTED = b"[#L"
_length = struct.Struct(">BQ").unpack_from
_typed = struct.Struct(">2sB2sQ").unpack_from


def read(content: bytes) -> Any:
    """Objects as dicts, texts as bytes, numbers of one type as its marker and big-endian bytes,
    other arrays, and empty ones, as lists.

    Raises:
        ValueError, LookupError, struct.error, RecursionError: not such a file.
    """
    value, end = _value(content, 0)
    if end != len(content):
        raise ValueError("it does not end where it should")
    return value


def _value(content: bytes, at: int) -> tuple[Any, int]:
    marker = content[at]
    if marker == _OBJECT:
        return _object(content, at + 1)
    if marker == _ARRAY:
        return _array(content, at)
    if marker == _TEXT:
        return _text(content, at + 1)
    end = at + 1 + _INTEGERS[marker]
    return int.from_bytes(content[at + 1 : end], signed=True), end


def _object(content: bytes, at: int) -> tuple[dict[bytes, Any], int]:
    found: dict[bytes, Any] = {}
    names = 0
    while content[at] != _END:
        # As _text and _array do, in place: a model has some ten thousand arrays.
        marker, length = _length(content, at)
        start = at + 9 + length
        name = content[at + 9 : start]
        if marker != _LENGTH:
            raise ValueError("a name without its length")
        if content[start] == _ARRAY:
            found[name], at = _array(content, start)
        else:
            found[name], at = _value(content, start)
        names += 1
    if len(found) != names:
        raise ValueError("a name comes twice")
    return found, at + 1


def _array(content: bytes, at: int) -> tuple[list[Any] | tuple[int, bytes], int]:
    opening, marker, counting, count = _typed(content, at)
    if opening == b"[$" and counting == b"#L" and not count:
        return [], at + 13
    if opening == b"[$" and counting == b"#L":
        end = at + 13 + count * _NUMBERS[marker]
        return (marker, content[at + 13 : end]), end
    if content[at : at + 3] != _COUNTED:
        raise ValueError("an array without its length")
    (_, count), at = _length(content, at + 2), at + 11
    items = []
    for _ in range(count):
        item, at = _value(content, at)
        items.append(item)
    return items, at


def _text(content: bytes, at: int) -> tuple[bytes, int]:
    marker, length = _length(content, at)
    if marker != _LENGTH:
        raise ValueError("a text without its length")
    return content[at + 9 : at + 9 + length], at + 9 + length
