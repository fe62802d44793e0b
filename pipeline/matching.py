"""Columns of new data as training had them: text that holds numbers, numbers that are codes."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.errors import BadData
from configs.meant import some
from pipeline.frames import Feature, Numeric, sentinels_of
from pipeline.rules import CategoricalRule, NumericRule
from storage.column_kinds import as_code, as_numbers

Floats = NDArray[np.float64]

FEW = 0.01
"""So small a share of rows with categories that training never had is nothing to tell of."""

_SHOWN = 5
_UNLEARNED, _LACKING = -2, -3
_THOUSANDS = r"^\s*-?\d{1,3}(,\d{3})+(\.\d*)?\s*$"


def numbers_of(rule: NumericRule, feature: Feature, where: str) -> Floats:
    """The feature as numbers, NaN where missing; `where` names the data set.

    Raises:
        BadData: a row holds text that is neither a number nor a sentinel of training.
    """
    if isinstance(feature, Numeric):
        return feature.values
    numbers = np.full(len(feature.categories) + 1, np.nan)  # the last is for code -1
    codes = [
        code
        for code in np.unique(feature.codes[feature.codes >= 0])
        if feature.categories[code] not in rule.missing_values
    ]
    texts = [feature.categories[code] for code in codes]
    values = _parsed(texts)
    if values is None:
        # Truth values are numbers only where nothing else is there.
        odd = next((text for text in texts if _parsed([text, "0"]) is None), texts[0])
        advice = f"if that means missing, load it with --missing {feature.name}={odd}"
        if re.match(_THOUSANDS, odd):
            advice = f"write {odd.replace(',', '')} for it in the file, and load that"
        raise BadData(
            f"{where}: column {feature.name!r} holds {odd!r}, but was numeric when the models were "
            f"trained; {advice}"
        )
    numbers[codes] = values
    return numbers[feature.codes]


def outputs_of(rule: CategoricalRule, feature: Feature, where: str) -> NDArray[np.int32]:
    """For each row which output of the rule is 1; -1: none.

    Raises:
        BadData: the column was read as numbers, and it cannot be told which categories they are.
    """
    others = len(rule.categories) if rule.other else -1
    missing = len(rule.categories) + rule.other if rule.missing else -1
    codes, outputs = _placed(rule, feature, others, missing, where)
    found: NDArray[np.int32] = np.array([*outputs, missing], np.int32)[codes]
    return found


def unlearned(rule: CategoricalRule, feature: Feature, where: str) -> int:
    """How many rows hold a category that training never had. Where it had rare ones, which the
    rule does not name, those count that are not rare here.

    Raises:
        BadData: as `outputs_of`.
    """
    codes, outputs = _placed(rule, feature, _UNLEARNED, -1, where)
    counts = np.bincount(codes[codes >= 0], minlength=len(outputs))
    counts = counts[np.array(outputs, np.int64) == _UNLEARNED]
    if rule.other:
        counts = counts[counts > FEW * len(codes)]
    return int(counts.sum())


def lacking(rule: CategoricalRule, feature: Feature, where: str) -> int:
    """How many rows have no category.

    Raises:
        BadData: as `outputs_of`.
    """
    codes, outputs = _placed(rule, feature, _UNLEARNED, _LACKING, where)
    counts = np.bincount(codes[codes >= 0], minlength=len(outputs))
    named = counts[np.array(outputs, np.int64) == _LACKING]
    return int(np.count_nonzero(codes < 0) + named.sum())


def _placed(
    rule: CategoricalRule, feature: Feature, others: int, missing: int, where: str
) -> tuple[NDArray[Any], list[int]]:
    """A code of each row, -1 for none, and the output of each code."""
    if isinstance(feature, Numeric):
        return _by_number(rule, feature, others, where)
    place = {category: place for place, category in enumerate(rule.categories)}
    place |= dict.fromkeys(rule.missing_values, missing)
    return feature.codes, _by_text(place, feature.categories, others)


def _by_text(place: Mapping[str, int], texts: Sequence[str], others: int) -> list[int]:
    """The same text; else the only one that is the same code: 1 in one file is 1.0 in another."""
    places = defaultdict(set)
    for text, output in place.items():
        places[as_code(text)].add(output)
    outputs = []
    for text in texts:
        fitting = {place[text]} if text in place else places.get(as_code(text), set())
        outputs.append(min(fitting) if len(fitting) == 1 else others)
    return outputs


def _by_number(
    rule: CategoricalRule, feature: Numeric, others: int, where: str
) -> tuple[NDArray[Any], list[int]]:
    """A file whose codes are all numbers says 1 where the training set said 1, 01 or true."""
    known = np.isfinite(feature.values)
    for sentinel in sentinels_of(rule.missing_values):
        known &= feature.values != sentinel
    values, inverse = np.unique(feature.values[known], return_inverse=True)
    codes = np.full(len(feature.values), -1, np.int64)
    codes[known] = inverse
    places = defaultdict(list)
    for place, category in enumerate(rule.categories):
        number = _parsed([category])
        if number is not None:
            places[number[0]].append(place)
    outputs = []
    for value in values:
        fitting = places.get(value, [])
        if len(fitting) > 1 or not places:
            meant = [rule.categories[place] for place in fitting or range(len(rule.categories))]
            raise BadData(_untold(feature, value, meant, where))
        outputs.append(fitting[0] if fitting else others)
    return codes, outputs


def _untold(feature: Feature, value: float, meant: list[str], where: str) -> str:
    shown = some(list(map(repr, meant)), _SHOWN)
    return (
        f"{where}: column {feature.name!r} was read as numbers, and {value:g} is not clearly one "
        f"of the categories that the models learned ({shown}); load it with --categorical "
        f"{feature.name}"
    )


def _parsed(texts: list[str]) -> Floats | None:
    """Numbers as a load reads them; None if any text is not one."""
    numbers = as_numbers(pa.chunked_array([pa.array(texts, pa.string())]))
    return None if numbers is None else numbers.to_numpy()
