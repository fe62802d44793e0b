"""Preparation: learned from rows of the training part alone, then applied unchanged.

The rules, with their reasons, stand in docs/decisions/0004-preparation.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadData
from configs.meant import some
from configs.wording import counted
from pipeline.frames import Categorical, Feature, Frame, Numeric, sentinels_of
from pipeline.matching import FEW, lacking, numbers_of, outputs_of, unlearned
from pipeline.rules import (
    ALL_RARE,
    CONSTANT,
    MISSING,
    CategoricalRule,
    Dropped,
    NumericRule,
    Preprocessor,
    Rule,
)

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_CATEGORIES = 100
RARE_ROWS = 10
RARE_SHARE = 0.001
# Beyond these a number says no more than "very large"; within them nothing overflows.
RAW_LIMIT = 1e150
SCALED_LIMIT = 1e6

_SHOWN = 9
_NAMED = 3  # columns; a feed that lost a part of them would fill a log
_BLOCK_ROWS, _BLOCK_CELLS = 16_384, 2**20


def fit(frame: Frame, rows: Rows) -> Preprocessor:
    """Learn from `rows`, which must be the training part, and from no other row.

    Raises:
        BadData: no feature varies within these rows.
    """
    if len(rows) == 0:
        raise BadData(f"data set {frame.name}: the training part has no rows")
    learned = [_learn(feature, rows) for feature in frame.features]
    rules = tuple(rule for rule in learned if not isinstance(rule, Dropped))
    if not rules:
        raise BadData(
            f"data set {frame.name} has no usable feature: all {len(learned)} are constant or "
            f"missing in the {len(rows)} rows of the training part"
        )
    return Preprocessor(rules, tuple(rule for rule in learned if isinstance(rule, Dropped)))


def shape(preprocessor: Preprocessor, frame: Frame, rows: Rows | None = None) -> tuple[int, int]:
    """Rows and columns of the matrix that `blocks` makes."""
    width = sum(len(rule.outputs) for rule in preprocessor.rules)
    return frame.n_rows if rows is None else len(rows), width


def blocks(preprocessor: Preprocessor, frame: Frame, rows: Rows | None = None) -> Iterator[Matrix]:
    """The matrix of `rows` (all, in order, where None) in pieces, from the first row on, so that it
    need not exist as a whole: a column for each of `preprocessor.feature_names`. Columns of the
    frame that no rule names are ignored.

    Raises:
        BadData: a feature is missing, holds text where training had numbers, or numbers that
            may be any of training's categories.
    """
    sources = _sources(preprocessor, frame)
    n_rows, width = shape(preprocessor, frame, rows)
    height = min(_BLOCK_ROWS, max(1024, _BLOCK_CELLS // width))
    for start in range(0, n_rows, height):
        span = slice(start, min(start + height, n_rows))
        wanted: Any = span if rows is None else rows[span]
        # A column at a time into a block that fits the cache; then turned into rows at once.
        block = np.zeros((width, span.stop - span.start), np.float32)
        at = 0
        for rule, source in zip(preprocessor.rules, sources, strict=True):
            part = block[at : at + len(rule.outputs)]
            if isinstance(rule, NumericRule):
                _write_numbers(rule, source[wanted], part)
            else:
                _write_indices(source[wanted], part)
            at += len(part)
        yield block.T


def doubts(preprocessor: Preprocessor, frame: Frame) -> tuple[str, ...]:
    """Columns with many rows whose category training did not have, the most first.

    Raises:
        BadData: as `blocks`.
    """
    counts = {
        rule.name: unlearned(rule, frame.by_name[rule.name], f"data set {frame.name}")
        for rule in preprocessor.rules
        if isinstance(rule, CategoricalRule)
    }
    return said_of_columns(
        counts, frame.n_rows, "with a category that training had never or hardly ever"
    )


def gaps(preprocessor: Preprocessor, frame: Frame) -> tuple[str, ...]:
    """Columns with many rows that lack a value, as none did in training, the most first.

    Raises:
        BadData: as `blocks`.
    """
    counts = {
        rule.name: _lacking(rule, frame.by_name[rule.name], f"data set {frame.name}")
        for rule in preprocessor.rules
        if not (rule.indicator if isinstance(rule, NumericRule) else rule.missing)
    }
    return said_of_columns(counts, frame.n_rows, "without a value, which none lacked in training")


def said_of_columns(counts: Mapping[str, int], n_rows: int, what: str) -> tuple[str, ...]:
    """What is said of columns by their numbers of rows: of a few by name, how many others."""
    said = [
        f"{name}: {count:,} of {counted(n_rows, 'row')} {what}"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
        if count > FEW * n_rows
    ]
    others = [f"so it is in {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return (*said[:_NAMED], *others)


def _lacking(rule: Rule, feature: Feature, where: str) -> int:
    if isinstance(rule, CategoricalRule):
        return lacking(rule, feature, where)
    values = numbers_of(rule, feature, where)
    return int(np.count_nonzero(_missing(values, sentinels_of(rule.missing_values))))


def _learn(feature: Feature, rows: Rows) -> Rule | Dropped:
    match feature:
        case Numeric():
            return _learn_numbers(feature, feature.values[rows])
        case Categorical():
            return _learn_categories(feature, feature.codes[rows])
        case _:
            assert_never(feature)


def _learn_numbers(feature: Numeric, values: Floats) -> NumericRule | Dropped:
    known = values[~_missing(values, sentinels_of(feature.missing_values))]
    if len(known) == 0:
        return Dropped(feature.name, MISSING)
    known = np.sort(np.clip(known, -RAW_LIMIT, RAW_LIMIT))
    varies = bool(known[0] < known[-1])
    indicator = len(known) < len(values)
    if not varies and not indicator:
        return Dropped(feature.name, CONSTANT)
    spread = _quantile(known, 0.75) - _quantile(known, 0.25)
    if spread <= 0:  # more than half the rows share one value
        spread = float(np.std(known))
    return NumericRule(
        name=feature.name,
        missing_values=feature.missing_values,
        centre=_quantile(known, 0.5),
        scale=spread if spread > 0 else 1.0,
        value=varies,
        indicator=indicator,
    )


def _quantile(ascending: Floats, share: float) -> float:
    """Between neighbours linearly, as NumPy's default; sorting once serves all quantiles."""
    position = share * (len(ascending) - 1)
    below = int(position)
    above = min(below + 1, len(ascending) - 1)
    low, high = float(ascending[below]), float(ascending[above])
    return low + (high - low) * (position - below)


def _learn_categories(feature: Categorical, codes: NDArray[np.int32]) -> CategoricalRule | Dropped:
    known = codes[codes >= 0]
    counts = np.bincount(known, minlength=len(feature.categories))
    enough = max(RARE_ROWS, RARE_SHARE * len(codes))
    frequent = sorted(
        (code for code in np.flatnonzero(counts >= enough)),
        key=lambda code: (-counts[code], feature.categories[code]),
    )[:MAX_CATEGORIES]
    rule = CategoricalRule(
        name=feature.name,
        missing_values=feature.missing_values,
        categories=tuple(feature.categories[code] for code in frequent),
        other=bool(counts[frequent].sum() < len(known)),
        missing=len(known) < len(codes),
    )
    if len(rule.outputs) > 1:
        return rule
    if rule.missing:
        return Dropped(feature.name, MISSING)
    return Dropped(feature.name, ALL_RARE if np.count_nonzero(counts) > 1 else CONSTANT)


def _sources(preprocessor: Preprocessor, frame: Frame) -> list[NDArray[Any]]:
    """For each rule an array of all rows: numbers, or the output that is 1 (-1: none)."""
    gone = [rule.name for rule in preprocessor.rules if rule.name not in frame.by_name]
    if gone:
        role = (frame.roles or {}).get(gone[0])
        there = f" (it is there, but with role {role})" if role else ""
        more = f", nor {some(list(map(repr, gone[1:])), _SHOWN)}" if len(gone) > 1 else ""
        raise BadData(
            f"data set {frame.name} has no feature {gone[0]!r}{there}{more}, which the models "
            "were trained on"
        )
    where = f"data set {frame.name}"
    return [
        numbers_of(rule, frame.by_name[rule.name], where)
        if isinstance(rule, NumericRule)
        else outputs_of(rule, frame.by_name[rule.name], where)
        for rule in preprocessor.rules
    ]


def _missing(values: Floats, sentinels: tuple[float, ...]) -> NDArray[np.bool_]:
    missing = ~np.isfinite(values)
    for sentinel in sentinels:
        missing |= values == sentinel
    return missing


def _write_numbers(rule: NumericRule, values: Floats, part: Matrix) -> None:
    missing = _missing(values, sentinels_of(rule.missing_values))
    if rule.value:
        scaled = np.clip(values, -RAW_LIMIT, RAW_LIMIT)
        scaled -= rule.centre
        with np.errstate(over="ignore"):
            scaled /= rule.scale
        np.clip(scaled, -SCALED_LIMIT, SCALED_LIMIT, out=scaled)
        np.copyto(scaled, 0.0, where=missing)
        part[0] = scaled
    if rule.indicator:
        part[-1] = missing


def _write_indices(outputs: NDArray[np.int32], part: Matrix) -> None:
    hit = np.flatnonzero(outputs >= 0)
    part[outputs[hit], hit] = 1.0
