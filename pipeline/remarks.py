"""What a person who loads data may not have meant, told of each column."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.wording import counted
from storage import column_kinds
from storage.records import Role

_LIKE_AN_ID = 0.5  # this share of rows with a category of their own
_LIKE_NUMBERS = 0.5  # more than this share of values that are numbers
_FEWEST = 3  # rows in which these can be told
_HARDLY_TWICE = 0.99  # at least this share of values differs
_LONG = 10**8  # as numbers of people and accounts are; so long, amounts are seldom all different
_NUMBER = r"^\s*-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
# As people write them: 1,100, 94,37, 12.5%, 3,000원.
_FOR_PEOPLE = r"^\s*[₩$€]?\s*-?(\d{1,3}(,\d{3})+(\.\d*)?|\d+([.,]\d*)?)\s*[%원€]?\s*$"

# Other than ISO's: 31/12/2024, 12-31-24, 2024.12.31., 2024년 12월 31일; a time may follow.
_DATE = (
    r"^\s*(\d{1,2}[./-]\d{1,2}[./-](\d{2}|\d{4})|\d{4}[./-]\s?\d{1,2}[./-]\s?\d{1,2}\.?"
    r"|\d{4}년\s*\d{1,2}월\s*\d{1,2}일)(\s.*)?$"
)
_DIGITS = 19000101, 21001231
_LIKE_DATES = 0.5  # more than this share of values


def remarks(
    role: Role, found: column_kinds.Found, missing: tuple[str, ...], *, forced: bool, in_order: bool
) -> Iterator[str]:
    if found.infinities:
        yield f"{counted(found.infinities, 'infinite value')}, stored as missing"
    about = None
    if role == "feature" and found.kind == "categorical":
        if not forced:
            about = _almost_numbers(found.values, missing, in_order) or _dates(found.values)
        about = about or _like_an_id(found.values)
    elif role == "feature":
        about = _dates_in_digits(found.values) or _like_numbers_of_rows(found.values)
    elif role == "id" and in_order:  # without an order of their own, ids that repeat are refused
        about = _repeats(found.values)
    if about:
        yield about


def _almost_numbers(
    values: pa.ChunkedArray, missing: tuple[str, ...], in_order: bool
) -> str | None:
    """What made texts of a column of numbers: some values that are none, or commas and units."""
    meant = pc.if_else(pc.is_in(values, value_set=pa.array(missing, pa.string())), None, values)
    total = len(meant) - meant.null_count
    plain = pc.match_substring_regex(meant, _NUMBER)
    numbers = pc.sum(plain).as_py() or 0
    if _LIKE_NUMBERS * total < numbers < total:
        row = pc.index(plain, False).as_py()
        holder = f"row {row + 1} holds" if in_order else "others are texts such as"
        return (
            f"{numbers} of {total} values are numbers, but {holder} {meant[row].as_py()!r:.80}; it "
            "becomes categorical: mend that, or name what means missing with --missing"
        )
    odd = pc.and_not(pc.match_substring_regex(meant, _FOR_PEOPLE), plain)
    count = pc.sum(odd).as_py() or 0
    if count and numbers + count > _LIKE_NUMBERS * total:
        example = meant[pc.index(odd, True).as_py()].as_py()
        return (
            f"numbers with commas or units, such as {example!r:.80}, are {count:,} of "
            f"{counted(total, 'value')}; it becomes categorical: write them plainly, as 1234.5"
        )
    return None


def _dates(values: pa.ChunkedArray) -> str | None:
    """Not in the form by which a column of dates is known."""
    there = values.drop_null()
    like = pc.match_substring_regex(there, _DATE)
    count = pc.sum(like).as_py() or 0
    if count <= _LIKE_DATES * len(there):
        return None
    example = there[pc.index(like, True).as_py()].as_py()
    return (
        f"dates such as {example!r:.80} are {count:,} of {counted(len(there), 'value')}; each "
        "becomes a category: write them as 2024-12-31, or name it with --drop"
    )


def _dates_in_digits(values: pa.ChunkedArray) -> str | None:
    """Most of them, as sentinels such as 99991231 may stand for no date."""
    there = values.drop_null()
    if not pa.types.is_integer(values.type) or len(there) < _FEWEST:
        return None
    low, high = _DIGITS
    if pc.max(there).as_py() < low:
        return None
    numbers = there.to_numpy()
    month, day = numbers // 100 % 100, numbers % 100
    like = (low <= numbers) & (numbers <= high) & (month >= 1) & (month <= 12)
    like &= (day >= 1) & (day <= 31)
    if np.count_nonzero(like) <= _LIKE_DATES * len(numbers):
        return None
    return (
        f"whole numbers such as {numbers[like.argmax()]}, which look like dates; for now they are "
        "numbers: name it with --time or --drop"
    )


def _like_an_id(values: pa.ChunkedArray) -> str | None:
    different = pc.count_distinct(values).as_py()
    if len(values) < _FEWEST or different <= _LIKE_AN_ID * len(values):
        return None
    return f"{different} different texts; if it identifies rows, name it with --id"


def _like_numbers_of_rows(values: pa.ChunkedArray) -> str | None:
    """Whole numbers without a gap, each once; or long ones, as of accounts, hardly any twice."""
    there = values.drop_null()
    if len(there) < _FEWEST:
        return None
    low, high = pc.min_max(there).as_py().values()
    exact = pa.types.is_integer(values.type)
    limit = _LONG if exact else column_kinds.EXACT
    if exact and high - low == len(values) - 1:
        fewest: float = len(values)
    elif high >= limit and pc.approximate_median(there).as_py() >= limit:
        fewest = _HARDLY_TWICE * len(there)
    else:
        return None
    different = pc.count_distinct(there).as_py()
    if different < fewest:
        return None
    form = "d" if exact else ".15g"
    often = "each once" if different == len(there) else "hardly any of them twice"
    return (
        f"{low:{form}} to {high:{form}}, {often}; if it identifies rows, name it with --id, for "
        "now it is a feature"
    )


def _repeats(ids: pa.ChunkedArray) -> str | None:
    different = pc.count_distinct(ids).as_py()
    again = len(ids) - ids.null_count - different
    if not again:
        return None
    return (
        f"{counted(again, 'row')} with an id that another has; if a customer may have several "
        "rows, name it with --group-column in place of --id, and split by group, so that no part "
        "has rows of a customer of another"
    )
