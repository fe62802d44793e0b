"""What a column holds: numbers, texts or dates, found from its values."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from configs.errors import BadData
from storage.records import ColumnKind

_ISO_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?$"
_DECIMALS = re.compile(r"^(-?\d+)\.0+$")

# The first whose test an Arrow type passes.
_STORED: tuple[tuple[pa.DataType, tuple[Callable[[pa.DataType], bool], ...]], ...] = (
    (
        pa.float64(),
        (pa.types.is_null, pa.types.is_uint64, pa.types.is_decimal, pa.types.is_floating),
    ),
    (pa.int64(), (pa.types.is_boolean, pa.types.is_integer)),
    (
        pa.string(),
        (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_date,
            pa.types.is_timestamp,
            pa.types.is_time,
        ),
    ),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Above this, neighbouring doubles are further apart than 1, so a double is no exact integer.
EXACT = 2.0**53


@dataclass(frozen=True, slots=True)
class Found:
    """A column as it is stored: int64, float64 or string; what is missing is null."""

    kind: ColumnKind
    values: pa.ChunkedArray
    is_date: bool = False
    infinities: int = 0  # made null: neither database nor model can use them


def find(name: str, values: pa.ChunkedArray, sentinels: Sequence[str] = ()) -> Found:
    """Numeric if every value that is not missing is a number, else categorical.

    A sentinel that is a number stays as it is, so that the table equals its source; one that is
    no number becomes null in a numeric column, which could not hold it. Truth values are 1 and 0.

    Raises:
        BadData: the column holds binary or nested values.
    """
    values = _plain(name, values)
    if pa.types.is_integer(values.type):
        return Found("numeric", values)
    if pa.types.is_floating(values.type):
        return _finite(values)
    candidates = values
    if sentinels:
        is_sentinel = pc.is_in(values, value_set=pa.array(sentinels, values.type))
        candidates = pc.if_else(is_sentinel, None, values)
    if candidates.null_count == len(candidates):
        # Nothing but sentinels, or nothing at all.
        numbers = _parsed(values)
        return numbers or Found("numeric", pa.chunked_array([pa.nulls(len(values), pa.float64())]))
    found = _parsed(candidates)
    if found is not None:
        if _are_truths(values):  # whichever is a sentinel is no number
            return found
        # Numeric sentinels parse with the rest; the others would spoil it.
        return _parsed(values) or _parsed(_without_words(values, sentinels)) or _text(values)
    return _text(values)


def as_text(name: str, values: pa.ChunkedArray) -> Found:
    """A column that is categorical whatever it holds."""
    values = _decoded(values)
    if pa.types.is_uint64(values.type) or _is_whole_decimal(values.type):
        # Every digit counts, and a double has but 15 of them.
        return Found("categorical", values.cast(pa.string()))
    values = _plain(name, values)
    if pa.types.is_floating(values.type):
        return Found("categorical", written(values))
    return Found("categorical", values.cast(pa.string()))


def as_identifier(name: str, values: pa.ChunkedArray) -> Found:
    """Categorical, but stored as integers where these say the same: 7 does, 007 does not."""
    text = as_text(name, values).values
    numbers = _parsed(text)
    if numbers is not None and pa.types.is_integer(numbers.values.type):
        same = pc.all(pc.equal(numbers.values.cast(pa.string()), text)).as_py()
        if same:
            return Found("categorical", numbers.values)
    return Found("categorical", text)


def as_numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Texts as float64, infinities null, by the rule of `find`; None if any is no number."""
    found = _parsed(texts)
    return None if found is None else found.values.cast(pa.float64(), safe=False)


def written(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Doubles as text: 1, not 1.0, so that codes read from any type of column agree."""
    values = pc.if_else(pc.is_nan(values), None, values)
    whole = pc.and_(pc.equal(values, pc.trunc(values)), pc.less(pc.abs(values), EXACT))
    as_integer = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(as_integer, values.cast(pa.string()))


def as_code(text: str) -> str:
    """A whole number without the decimals that pandas gives it once a cell of its column is empty:
    1 for 1.0. Any other text as it is.
    """
    return _DECIMALS.sub(r"\1", text)


def composed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts in NFC: Unicode has two ways to write Korean and accents, and files of macOS take the
    other one.
    """
    if pc.all(pc.string_is_ascii(texts)).as_py():  # most are, and to see it takes no time
        return texts
    return pc.utf8_normalize(texts, form="NFC")


def all_iso_dates(values: pa.ChunkedArray) -> bool:
    """Whether texts look like ISO dates or times."""
    matches = pc.match_substring_regex(values.drop_null(), _ISO_DATE)
    return len(matches) > 0 and bool(pc.all(matches).as_py())


def instants(name: str, texts: Sequence[str]) -> NDArray[np.int64]:
    """ISO dates and times of any precision as microseconds; those without a zone are UTC.

    Their order as text is that of time only where all are written alike.

    Raises:
        BadData: a text is none; `name` is the column's.
    """
    with suppress(pa.ArrowInvalid):  # fast, but it takes no zones
        naive = pa.array(texts, pa.string()).cast(pa.timestamp("us"))
        return np.asarray(naive.cast(pa.int64()))
    return np.array([_instant(name, text) for text in texts], np.int64)


def _instant(name: str, text: str) -> int:
    with suppress(ValueError):
        if re.match(_ISO_DATE, text):
            moment = datetime.fromisoformat(re.sub(" (?=[Z+-])", "", text.replace("UTC", "Z")))
            since = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
            return since // timedelta(microseconds=1)
    raise BadData(
        f"the time column {name!r} holds texts such as {text!r}, which is no time; use numbers or "
        "ISO dates (2024-12-31)"
    )


def storable(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type can be stored: numbers, texts, dates, truth values."""
    return _stored_as(kind) is not None


def _stored_as(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    for target, tests in _STORED:
        if any(test(kind) for test in tests):
            return target
    return None


def _plain(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """int64, float64 or string, whatever Arrow type a file used; empty text is missing."""
    target = _stored_as(values.type)
    if target is None:
        raise BadData(
            f"column {name!r} holds values of type {values.type}, which are neither numbers nor "
            f"text; leave it out with --drop {name}"
        )
    values = _decoded(values)
    if pa.types.is_decimal(values.type):
        # Arrow's own cast to doubles is often off by the last bit: 3.30 would not be 3.3.
        values = values.cast(pa.string())
    plain = values.cast(target, safe=False)
    if pa.types.is_string(target):
        return composed(pc.if_else(pc.equal(plain, ""), None, plain))
    return plain


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    return values.cast(kind.value_type) if pa.types.is_dictionary(kind) else values


def _is_whole_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.scale == 0


def _parsed(text: pa.ChunkedArray) -> Found | None:
    """Numbers, or None if any value is not one. Blanks around a number do not matter."""
    if _are_truths(text):
        return Found("numeric", pc.equal(pc.utf8_lower(text), "true").cast(pa.int64()))
    for form in (text, pc.utf8_trim_whitespace(text)):
        try:
            # First as floats: these refuse 0x1F, which integers would take.
            floats = form.cast(pa.float64())
        except pa.ArrowInvalid:
            continue
        try:
            return Found("numeric", form.cast(pa.int64()))
        except pa.ArrowInvalid:
            return _finite(floats)
    return None


def _are_truths(text: pa.ChunkedArray) -> bool:
    words = pc.utf8_lower(text).drop_null()
    return bool(pc.all(pc.is_in(words, value_set=pa.array(["true", "false"]))).as_py())


def _finite(values: pa.ChunkedArray) -> Found:
    endless = pc.is_inf(values)
    infinities = pc.sum(endless).as_py() or 0
    unusable = pc.or_(endless, pc.is_nan(values))
    return Found("numeric", pc.if_else(unusable, None, values), infinities=infinities)


def _without_words(values: pa.ChunkedArray, sentinels: Sequence[str]) -> pa.ChunkedArray:
    words = [word for word in sentinels if _parsed(pa.chunked_array([[word]])) is None]
    return pc.if_else(pc.is_in(values, value_set=pa.array(words, values.type)), None, values)


def _text(values: pa.ChunkedArray) -> Found:
    return Found("categorical", values, is_date=all_iso_dates(values))
