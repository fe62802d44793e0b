"""What each column of new data is for, and what it holds: from what a person says and what is
found in the values.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pyarrow as pa

from configs.errors import BadData
from configs.meant import meant, some
from pipeline.remarks import remarks
from storage import column_kinds
from storage.content import in_one_piece
from storage.records import DatasetColumn, Role

Tell = Callable[[str], None]

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person says of the columns; all others become features."""

    target: str | None
    positive: str | None = None
    """The value of the target that means 1, where it is not 0 and 1."""
    id_column: str | None = None
    time_column: str | None = None
    group_column: str | None = None
    """For splitBy group: rows of one group never stand in two parts."""
    drop: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    """Kept and part of the data, but never a feature."""
    categorical: tuple[str, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a column the values that mean missing, such as 96 and 98."""

    def composed(self, *, names: bool) -> Self:
        """In NFC, as values of data sets are, and names of columns too unless a table that is not
        ours has given them.
        """
        name = _nfc if names else str

        def known(text: str | None) -> str | None:
            return None if text is None else name(text)

        return replace(
            self,
            target=known(self.target),
            positive=None if self.positive is None else _nfc(self.positive),
            id_column=known(self.id_column),
            time_column=known(self.time_column),
            group_column=known(self.group_column),
            drop=tuple(map(name, self.drop)),
            sensitive=tuple(map(name, self.sensitive)),
            categorical=tuple(map(name, self.categorical)),
            missing={
                name(column): tuple(map(_nfc, words)) for column, words in self.missing.items()
            },
        )

    def roles(self) -> dict[str, Role]:
        """Raises BadData if a column would have two."""
        single: tuple[tuple[Role, str | None], ...] = (
            ("target", self.target),
            ("id", self.id_column),
            ("time", self.time_column),
            ("group", self.group_column),
        )
        several: tuple[tuple[Role, tuple[str, ...]], ...] = (
            ("ignore", self.drop),
            ("sensitive", self.sensitive),
        )
        pairs = [(name, role) for role, name in single if name is not None]
        pairs += [(name, role) for role, names in several for name in names]
        roles: dict[str, Role] = {}
        for name, role in pairs:
            if roles.setdefault(name, role) != role:
                raise BadData(f"column {name!r} cannot be both {roles[name]} and {role}")
        return roles


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def describe(
    parts: Iterable[pa.Table],
    there: Sequence[str],
    choices: Choices,
    where: str,
    tell: Tell,
    *,
    in_order: bool = False,
) -> tuple[pa.Table, tuple[DatasetColumn, ...]]:
    """The table as it is stored (int64, float64, string; each column in one piece) and a record for
    each of its columns.

    Each of `parts` has some of the columns. `there` names those of the source; `parts` may lack
    those to be dropped. One that is to be dropped and that no table can hold is left out. `tell`
    hears what was decided that a person may want otherwise; `in_order` says that the rows stand as
    that person sees them.

    Raises:
        BadData: a column that was named is not there, or cannot have the role it was given.
    """
    roles = choices.roles()
    _check_names(there, choices, roles, where)
    arrays: dict[str, pa.ChunkedArray] = {}
    columns = []
    for position, (name, values) in enumerate(_columns_of(parts), 1):
        role = roles.get(name, "feature")
        if role == "ignore" and not column_kinds.storable(values.type):
            continue
        missing = tuple(choices.missing.get(name, ()))
        forced = name in choices.categorical
        found = _found(name, values, role, missing, forced)
        if role == "feature" and found.is_date:
            role = "ignore"
            tell(f"{name}: dates, ignored; name it with --time, or force it with --categorical")
        if role == "feature" and _PANDAS_INDEX.fullmatch(name) and not forced:
            role = "ignore"
            tell(f"{name}: row numbers that pandas left in the file, ignored")
        for remark in remarks(role, found, missing, forced=forced, in_order=in_order):
            tell(f"{name}: {remark}")
        arrays[name] = in_one_piece(found.values)
        columns.append(
            DatasetColumn(
                column_name=name,
                position=position,
                role=role,
                kind=found.kind,
                missing_values=missing,
            )
        )
    if not any(column.role == "feature" for column in columns):
        raise BadData(f"{where} has no feature: every column has another role")
    return pa.table(arrays), tuple(columns)


def _columns_of(parts: Iterable[pa.Table]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for part in parts:
        yield from zip(part.column_names, part.columns, strict=True)
        del part  # before there is the next one


def _check_names(
    there: Sequence[str], choices: Choices, roles: Mapping[str, Role], where: str
) -> None:
    for name in [*roles, *choices.categorical, *choices.missing]:
        if name not in there:
            raise BadData(_no_column(name, there, where))


def _no_column(name: str, there: Sequence[str], where: str) -> str:
    parts = [part.strip() for part in name.split(",")]
    known = [part for part in parts if part in there]
    hint = "give the option once for each column; " if known else meant(name, there)
    return f"{where} has no column {name!r}; {hint}its columns are: {some(there, 30)}"


def _found(
    name: str, values: pa.ChunkedArray, role: Role, missing: tuple[str, ...], forced: bool
) -> column_kinds.Found:
    if role in ("id", "group"):
        return column_kinds.as_identifier(name, values)
    if forced and role != "time":
        return column_kinds.as_text(name, values)
    found = column_kinds.find(name, values, missing)
    if role == "time" and found.kind == "categorical":
        texts = found.values.unique().drop_null().to_pylist()
        column_kinds.instants(name, [text for text in texts if text not in missing])
    return found
