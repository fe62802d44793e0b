"""What a preparation has learned: frozen rules, one a feature, and their JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from configs.errors import BadData

FORMAT = 1
"""The version of the JSON. It is raised when its meaning changes; old ones can still be read."""

CONSTANT = "constant in the training part"
MISSING = "missing in every row of the training part"
ALL_RARE = "too many rare categories"

_NAMED = 3


@dataclass(frozen=True, slots=True)
class NumericRule:
    """(x - centre) / scale, clipped; a missing x becomes 0, as the centre does.

    `value` is false where x never varied in training but was sometimes missing: then only the
    indicator says something.
    """

    name: str
    missing_values: tuple[str, ...]
    centre: float
    scale: float
    value: bool
    indicator: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        named = ((self.value, self.name), (self.indicator, f"{self.name} is missing"))
        return tuple(name for wanted, name in named if wanted)


@dataclass(frozen=True, slots=True)
class CategoricalRule:
    """A column for each category, then one for all others and one for missing, where training
    had such rows. What has no column becomes zeros.
    """

    name: str
    missing_values: tuple[str, ...]
    categories: tuple[str, ...]
    other: bool
    missing: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        special = ((self.other, f"{self.name} is other"), (self.missing, f"{self.name} is missing"))
        return (
            *(f"{self.name} = {category}" for category in self.categories),
            *(name for wanted, name in special if wanted),
        )


Rule = NumericRule | CategoricalRule


@dataclass(frozen=True, slots=True)
class Dropped:
    """A feature that never varied in the training part, so that no model could use it."""

    name: str
    reason: str

    @property
    def constant(self) -> bool:
        return self.reason == CONSTANT

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """All that was learned: equal for equal training rows, whatever other rows hold."""

    rules: tuple[Rule, ...]
    dropped: tuple[Dropped, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the matrix's columns, in order and unique."""
        names: dict[str, None] = {}
        for rule in self.rules:
            for name in rule.outputs:
                unique, number = name, 1
                while unique in names:
                    number += 1
                    unique = f"{name} ({number})"
                names[unique] = None
        return tuple(names)

    @property
    def unused(self) -> tuple[str, ...]:
        """What is said of features that no model sees: constant ones, of which a table may have
        many, after the others.
        """
        if not self.dropped:
            return ()
        named = [str(each) for each in sorted(self.dropped, key=lambda each: each.constant)]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        return (f"no model uses {', '.join(named[:_NAMED])}{more}",)


def to_json(preprocessor: Preprocessor) -> str:
    """Equal text for equal rules; floats in full."""
    value = {
        "format": FORMAT,
        "rules": [
            {"kind": "numeric" if isinstance(rule, NumericRule) else "categorical", **asdict(rule)}
            for rule in preprocessor.rules
        ],
        "dropped": [asdict(dropped) for dropped in preprocessor.dropped],
        "feature_names": preprocessor.feature_names,
    }
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_json(text: str) -> Preprocessor:
    """The rules that `to_json` wrote.

    Raises:
        BadData: the text is no preparation, or one of a format this version does not know.
    """
    try:
        value = json.loads(text)
        form = value["format"]
        if form != FORMAT:
            raise BadData(f"the preparation has format {form}; this version reads {FORMAT}")
        return Preprocessor(
            rules=tuple(_rule(rule) for rule in value["rules"]),
            dropped=tuple(Dropped(**dropped) for dropped in value["dropped"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"the stored preparation cannot be read: {error}") from error


def _rule(value: dict[str, Any]) -> Rule:
    kind = value.pop("kind")
    value["missing_values"] = tuple(value["missing_values"])
    if kind == "numeric":
        return NumericRule(**value)
    return CategoricalRule(**value | {"categories": tuple(value["categories"])})
