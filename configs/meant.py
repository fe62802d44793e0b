"""Names in messages: what there is, and what somebody may have meant."""

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 1000  # to look for what is like a text of a megabyte takes seconds


def meant(name: str, known: Iterable[str]) -> str:
    """`did you mean X? `, to stand before the list of known names; empty if none is like it."""
    if len(name) > _LONGEST:
        return ""
    if (sent := _unmangled(name)) is not None:
        return (
            f"was it sent as {sent}? then start the SQL client with "
            "--default-character-set=utf8mb4; "
        )
    near = nearest(name, known)
    return "" if near is None else f"did you mean {near}? "


def _unmangled(name: str) -> str | None:
    """What a client sent in UTF-8 and the database took for latin1, which is MariaDB's word for
    Windows-1252 with the five bytes that this has not.
    """
    try:
        sent = b"".join(_byte(each) for each in name).decode("utf-8")
    except UnicodeError:
        return None
    return sent if sent != name else None


def _byte(character: str) -> bytes:
    code = ord(character)
    return bytes([code]) if 0x80 <= code < 0xA0 else character.encode("cp1252")


def nearest(name: str, known: Iterable[str]) -> str | None:
    folded = {each.casefold(): each for each in known}
    wanted = name.casefold()
    begun = [each for each in folded if len(wanted) > 1 and each.startswith(wanted)]
    near = difflib.get_close_matches(wanted, folded, n=1) or (begun if len(begun) == 1 else [])
    return folded[near[0]] if near else None


def some(names: Sequence[str], most: int) -> str:
    """`a, b, ...`: the first of them."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
