"""Names of the tables of data sets, and of what is in them."""

import hashlib
import re
from collections.abc import Sequence

from configs.errors import BadData

PREFIX = "dc_data_"
ORDER_COLUMN = "dc_row_no"
MAX_COLUMNS = 1000
MAX_NAME = 64


def table_name(group: str, version: int) -> str:
    """A name of plain characters that says which data set it holds."""
    slug = re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_")[:30]
    if slug != group.lower():
        slug = f"{slug}_{hashlib.sha256(group.encode()).hexdigest()[:8]}".lstrip("_")
    return f"{PREFIX}{slug}_{version}"


def check_names(names: Sequence[str], where: str) -> None:
    """Raise BadData for names that MariaDB cannot have as columns, saying which and why."""
    if len(names) > MAX_COLUMNS:
        raise BadData(
            f"{where}: {len(names)} columns are too many; at most {MAX_COLUMNS} can be stored"
        )
    seen: dict[str, str] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise BadData(f"{where}: column {position} has no name; give it one in the header")
        reason = _unusable(name)
        if reason:
            raise BadData(f"{where}: column {position}, {name!r:.80}, {reason}; rename it")
        folded = name.casefold()
        if folded in seen:
            raise BadData(
                f"{where}: columns {seen[folded]!r} and {name!r} have the same name (case does "
                "not count); rename one"
            )
        seen[folded] = name


def _unusable(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if name.endswith(" "):
        return "ends in a space"
    if "\0" in name or any(ord(character) > 0xFFFF for character in name):
        return "holds a character that no column name can have"
    return ""


def order_column_for(names: Sequence[str]) -> str:
    """A name for the column of row numbers that no column of the data has."""
    taken = {name.casefold() for name in names}
    name, number = ORDER_COLUMN, 1
    while name in taken:
        number += 1
        name = f"{ORDER_COLUMN}_{number}"
    return name


def is_order_column(name: str) -> bool:
    """Whether `order_column_for` gives such a name."""
    return re.fullmatch(rf"{ORDER_COLUMN}(_\d+)?", name) is not None
