"""Which rows train, which choose (valid) and which judge (test): drawn before anything is learned.

random   shuffled by `seed`; with `stratify`, every part has the share of positives that the
         whole has, to the nearest row.
time     oldest rows train, newer ones choose, the newest judge. Rows of one time stay together:
         a cut moves to the nearest change of time, so parts may differ from the size asked for.
group    groups are shuffled by `seed` and dealt whole, test first, until a part has its rows or
         the next group would leave it further from them.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadData, BadParameter
from configs.wording import counted

Rows = NDArray[np.int64]
Labels = NDArray[np.int8]
SplitBy = Literal["random", "time", "group"]

FEW = 10
"""With fewer rows of a class thresholds and metrics are luck."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Row numbers of each part, ascending; every row is in exactly one."""

    train: Rows
    valid: Rows
    test: Rows


def make_split(
    y: Labels,
    *,
    test_size: float,
    validation_size: float,
    split_by: SplitBy,
    stratify: bool,
    seed: int,
    time: Rows | None = None,
    groups: Rows | None = None,
) -> Parts:
    """Split rows; equal arguments give equal parts.

    A size below 1 is a share (of all rows for test, of what is left for valid, rounded up), from
    1 on a count. `time` holds ranks and `groups` numbers, -1 for missing, as in a Frame.
    `stratify` is for random splits alone.

    Raises:
        BadParameter: the sizes leave a part empty or with one class.
        BadData: the data has one class only, or no time or group column, or gaps in it.
    """
    n_rows = len(y)
    counts = np.bincount(y, minlength=2)
    if counts.min() == 0:
        raise BadData(f"the target has one class only: all {n_rows} rows are {counts.argmax()}")
    n_test = _count("testSize", test_size, n_rows)
    n_valid = _count("validationSize", validation_size, n_rows - n_test)
    if split_by == "random":
        parts = _random(y, n_test, n_valid, stratify, seed)
    elif split_by == "time":
        parts = _by_time(_known("time", time), n_test, n_valid)
    else:
        parts = _by_group(_known("group", groups), n_test, n_valid, seed)
    _check(parts, y, split_by, stratify)
    return parts


def doubts(parts: Parts, y: Labels) -> tuple[str, ...]:
    """Remarks on parts with so few rows of a class that one more or less changes every figure."""
    found = []
    for name, rows in (("valid", parts.valid), ("test", parts.test)):
        counts = np.bincount(y[rows], minlength=2)
        if counts.min() < FEW:
            rare = counts.argmin()
            found.append(f"class {rare} in {counts[rare]} of {len(rows)} rows of {name}")
    return (f"{' and '.join(found)}: figures of so few are luck",) if found else ()


def split_id(parts: Parts, content_sha256: str, y: Labels) -> str:
    """SHA-256 that is equal only for the same parts of the same data with the same labels.

    Equal rows may be registered with another target, or with the other value as positive.
    """
    hasher = hashlib.sha256(content_sha256.encode())
    hasher.update(b"\n%b" % y.astype("i1").tobytes())
    for rows in (parts.train, parts.valid, parts.test):
        hasher.update(b"\n%d\n" % len(rows))
        hasher.update(rows.astype("<i8").tobytes())
    return hasher.hexdigest()


def _count(key: str, size: float, n_rows: int) -> int:
    """Rows of a part of `n_rows`."""
    if size < 1:
        # 0.07 * 100 is a little more than 7, and must not become 8
        count = math.ceil(size * n_rows - 1e-9)
    elif size == int(size):
        count = int(size)
    else:
        raise BadParameter(f"{key}: {size} is neither a share below 1 nor a whole count of rows")
    if not 0 < count < n_rows:
        raise BadParameter(f"{key}: {size:g} of {n_rows} rows leaves a part without rows")
    return count


def _random(y: Labels, n_test: int, n_valid: int, stratify: bool, seed: int) -> Parts:
    order = _shuffled(len(y), seed)
    strata = [order[y[order] == label] for label in (0, 1)] if stratify else [order]
    test, rest = _take(strata, n_test)
    valid, train = _take(rest, n_valid)
    return Parts(*(np.sort(np.concatenate(part)) for part in (train, valid, test)))


def _shuffled(count: int, seed: int) -> Rows:
    """The raw stream of a bit generator is the same for ever; NumPy's own shuffles may change."""
    keys = np.random.PCG64(seed).random_raw(count)
    return np.argsort(keys, kind="stable")


def _take(strata: list[Rows], count: int) -> tuple[list[Rows], list[Rows]]:
    """The first `count` rows, from each stratum its share; and the others."""
    total = sum(map(len, strata))
    first = math.floor(count * len(strata[0]) / total + 0.5)
    shares = [first, count - first][: len(strata)]
    taken = [rows[:share] for rows, share in zip(strata, shares, strict=True)]
    return taken, [rows[share:] for rows, share in zip(strata, shares, strict=True)]


def _known(what: str, values: Rows | None) -> Rows:
    if values is None:
        raise BadData(
            f"splitBy {what}: the data set has no {what} column; "
            f"load it with --{what if what == 'time' else 'group-column'} COLUMN"
        )
    missing = int((values < 0).sum())
    if missing:
        raise BadData(f"splitBy {what}: the {what} column has {counted(missing, 'missing value')}")
    return values


def _by_time(time: Rows, n_test: int, n_valid: int) -> Parts:
    order = np.argsort(time, kind="stable")
    changes = np.flatnonzero(np.diff(time[order])) + 1  # where a new time begins
    if len(changes) < 2:
        raise BadData(
            f"splitBy time: the time column has {counted(len(changes) + 1, 'different time')}; "
            "three parts need at least three"
        )
    end = _nearest(changes[1:], len(time) - n_test)
    start = _nearest(changes[changes < end], end - n_valid)
    parts = order[:start], order[start:end], order[end:]
    return Parts(*(np.sort(part) for part in parts))


def _nearest(cuts: Rows, wanted: int) -> int:
    return int(cuts[np.abs(cuts - wanted).argmin()])


def _by_group(groups: Rows, n_test: int, n_valid: int, seed: int) -> Parts:
    codes, sizes = np.unique(groups, return_counts=True)
    if len(codes) < 3:
        raise BadData(f"splitBy group: {counted(len(codes), 'group')} cannot make three parts")
    order = _shuffled(len(codes), seed)
    n_test_groups = _deal(sizes[order], n_test, keep=2)
    n_valid_groups = _deal(sizes[order[n_test_groups:]], n_valid, keep=1)
    bounds = [n_test_groups, n_test_groups + n_valid_groups]
    test, valid, train = np.split(codes[order], bounds)
    return Parts(*(np.flatnonzero(np.isin(groups, part)) for part in (train, valid, test)))


def _deal(sizes: Rows, wanted: int, keep: int) -> int:
    """How many groups come closest to `wanted` rows: at least one, leaving at least `keep`."""
    totals = np.cumsum(sizes)[: len(sizes) - keep]
    return int(np.abs(totals - wanted).argmin()) + 1


def _check(parts: Parts, y: Labels, split_by: SplitBy, stratify: bool) -> None:
    for name, rows in (("training", parts.train), ("valid", parts.valid), ("test", parts.test)):
        if y[rows].min() == y[rows].max():
            raise BadParameter(
                f"splitBy {split_by}: all {len(rows)} rows of the {name} part are of class "
                f"{y[rows[0]]}; change {_advice(split_by, stratify)}"
            )


def _advice(split_by: SplitBy, stratify: bool) -> str:
    """What may give each part rows of both classes."""
    if split_by != "random":
        return "testSize, validationSize or splitBy"
    return "testSize or validationSize" + ("" if stratify else ", or set stratify")
