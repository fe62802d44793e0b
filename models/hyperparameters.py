"""Hyper-parameters as JSON writes them: names, types and ranges, checked before anything is fitted.

A number may come as a string ("0.1"), as everywhere in batch_param; what is read has its own type.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from configs.errors import BadParameter
from configs.meant import meant


class Spec(Protocol):
    """What one parameter may be; its str() completes the sentence "it must be ..."."""

    def read(self, value: object) -> Any:
        """The value in its own type; ValueError when it is not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, also one written as 1e2 or 100.0."""

    low: int
    high: int = 2**31 - 1

    def read(self, value: object) -> int:
        number = _number(value)
        if number % 1 or not self.low <= number <= self.high:
            raise ValueError
        return int(number)

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Real:
    """A number from `low` to `high`; `above` and `below` leave out the end itself."""

    low: float = 0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def read(self, value: object) -> float:
        number = float(_number(value))
        inside = (self.low < number if self.above else self.low <= number) and (
            number < self.high if self.below else number <= self.high
        )
        if not inside or not math.isfinite(number):
            raise ValueError
        return number

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"of at least {self.low:g}"
        if math.isinf(self.high):
            return f"a number {low}"
        return f"a number {low} and {'below' if self.below else 'at most'} {self.high:g}"


@dataclass(frozen=True, slots=True)
class Share:
    """A number with a decimal point, above 0 and below 1 (or 1.0 itself): a part of the whole.

    scikit-learn tells the count 1 from the share 1.0, so this never reads a whole number; where
    either may stand, it comes before Whole, which would read 1.0.
    """

    one: bool = True

    def read(self, value: object) -> float:
        number = _number(value)
        if isinstance(number, int) or not 0 < number <= 1 or (number == 1 and not self.one):
            raise ValueError
        return number

    def __str__(self) -> str:
        return f"a share above 0 and {'at most 1.0' if self.one else 'below 1'}"


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def read(self, value: object) -> bool:
        if value is not True and value is not False:
            raise ValueError
        return value

    def __str__(self) -> str:
        return "true or false"


class Word:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value

    def __str__(self) -> str:
        return " or ".join(f'"{word}"' for word in self.words)


@dataclass(frozen=True, slots=True)
class Null:
    """null, where the library takes None."""

    def read(self, value: object) -> None:
        if value is not None:
            raise ValueError

    def __str__(self) -> str:
        return "null"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of 1 to `longest` values of one kind; it is read as a tuple."""

    item: Spec
    longest: int

    def read(self, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= self.longest:
            raise ValueError
        return tuple(self.item.read(item) for item in value)

    def __str__(self) -> str:
        return f"a list of 1 to {self.longest}, each {self.item}"


@dataclass(frozen=True, slots=True)
class Table:
    """An object whose keys are named; a key that is left out keeps its default."""

    specs: Mapping[str, Spec]
    defaults: Mapping[str, Any]

    def read(self, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not set(value) <= set(self.specs):
            raise ValueError
        return {**self.defaults, **{key: self.specs[key].read(value[key]) for key in value}}

    def __str__(self) -> str:
        keys = ", ".join(f'"{key}" ({spec})' for key, spec in self.specs.items())
        return f"an object with {keys}"


class Either:
    """The first of several that fits."""

    def __init__(self, *specs: Spec) -> None:
        self.specs = specs

    def read(self, value: object) -> Any:
        for spec in self.specs:
            try:
                return spec.read(value)
            except ValueError:
                continue
        raise ValueError

    def __str__(self) -> str:
        return ", or ".join(map(str, self.specs))


def resolve(
    kind: str, specs: Mapping[str, Spec], defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """`defaults` with what is `given` read over them.

    Raises:
        BadParameter: an unknown name, or a value that is not allowed.
    """
    for name in given:
        if name not in specs:
            raise unknown(name, kind, specs)
    return {**defaults, **{name: read(name, specs[name], given[name]) for name in given}}


def read(name: str, spec: Spec, value: object) -> Any:
    """Raises BadParameter, naming the parameter, the value and what is allowed."""
    try:
        return spec.read(value)
    except (ValueError, OverflowError):
        written = json.dumps(value, ensure_ascii=False, default=str)
        raise BadParameter(f"{name} = {written:.80} is not allowed; it must be {spec}") from None


def unknown(name: str, of: str, known: Iterable[str]) -> BadParameter:
    """The error for a name that does not exist: the nearest one, and all there are."""
    names = sorted(known)
    return BadParameter(
        f"{name!r:.80} is not known to {of}; {meant(name, names)}allowed: {', '.join(names)}"
    )


def _number(value: object) -> int | float:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError
