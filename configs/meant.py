"""Names in messages: what there is, and what somebody may have meant."""

import difflib
from collections.abc import Iterable, Sequence


def meant(name: str, known: Iterable[str]) -> str:
    """`did you mean X? `, to stand before the list of known names; empty if none is like it."""
    near = nearest(name, known)
    return "" if near is None else f"did you mean {near}? "


def nearest(name: str, known: Iterable[str]) -> str | None:
    folded = {each.casefold(): each for each in known}
    wanted = name.casefold()
    begun = [each for each in folded if len(wanted) > 1 and each.startswith(wanted)]
    near = difflib.get_close_matches(wanted, folded, n=1) or (begun if len(begun) == 1 else [])
    return folded[near[0]] if near else None


def some(names: Sequence[str], most: int) -> str:
    """`a, b, ...`: the first of them."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
