"""A TOML file of `[[model]]` tables: rows for dc_model_list."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import BadParameter, NotFound
from configs.meant import meant
from models import hyperparameters, variants
from models.hyperparameters import Spec, Whole, Word
from models.variants import Variant
from storage.records import ModelEntry


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of `shortest` to `longest` characters."""

    longest: int
    shortest: int = 1

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not self.shortest <= len(value) <= self.longest:
            raise ValueError
        return value

    def __str__(self) -> str:
        return f"a text of {self.shortest} to {self.longest} characters"


class _Param:
    """model_param as JSON; its keys are for the kind to judge."""

    def read(self, value: object) -> str | None:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - as every Spec
        # A date or time of TOML, which no key takes, is refused as the text that it becomes.
        return json.dumps(value, ensure_ascii=False, default=str) if value else None

    def __str__(self) -> str:
        return "a table, such as { n_estimators = 300 }"


_KEYS: dict[str, Spec] = {
    "model_no": Whole(0),
    "model_id": _Text(100),
    "model_group_id": _Text(100),
    "model_desc": _Text(500, shortest=0),
    "use_yn": Word("Y", "N"),
    "param": _Param(),
}
_DEFAULTS = {"model_desc": None, "use_yn": "Y", "param": None}


def _meant(text: str) -> str:
    """What to do where JSON's null was written."""
    if not re.search(r"[=\[,]\s*null\b", text):
        return ""
    return "; TOML has no null: leave the key out, or write model_param by SQL, as JSON"


def read(path: Path) -> list[ModelEntry]:
    """The file's models, every kind and parameter checked.

    Raises:
        BadParameter: not TOML, an unknown key, an unknown kind or parameter, a number twice. The
            message names the file and the table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin it with a mark
        content = tomllib.loads(text)
        json.dumps(content, default=str)  # as it is to be stored, whatever it says
    except OSError as error:
        raise BadParameter(f"{path}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadParameter(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise BadParameter(f"{path}: not valid TOML: nested too deep") from error
    except tomllib.TOMLDecodeError as error:
        raise BadParameter(f"{path}: not valid TOML: {error}{_meant(text)}") from error
    except ValueError as error:  # in decimals TOML does not read it, in others JSON cannot say it
        raise BadParameter(f"{path}: a number in it has thousands of digits") from error
    tables = content.pop("model", None)
    if content or not isinstance(tables, list) or not tables:
        raise BadParameter(f"{path}: expected [[model]] tables and nothing else")
    entries = [_entry(path, place, table) for place, table in enumerate(tables, start=1)]
    numbers = [entry.model_no for entry in entries]
    for number in numbers:
        if numbers.count(number) > 1:
            raise BadParameter(f"{path}: model_no {number} is there twice")
    return entries


def expand(entry: ModelEntry) -> tuple[Variant, ...]:
    """Its variants. Raises BadParameter or NotFound: its kind or a parameter is wrong."""
    return variants.expand(entry.model_param, entry.model_id, model_no=entry.model_no)


def _entry(path: Path, place: int, table: object) -> ModelEntry:
    try:
        entry = _checked(table)
        expand(entry)
    except (BadParameter, NotFound) as error:
        raise BadParameter(f"{path}: [[model]] number {place}: {error}") from error
    return entry


def _checked(table: object) -> ModelEntry:
    known = f"known keys: {', '.join(_KEYS)}"
    if not isinstance(table, dict):
        raise BadParameter(f"it must be a table; {known}")
    for name in table:
        if name not in _KEYS:
            raise BadParameter(f"unknown key {name!r}; {meant(name, _KEYS)}{known}")
    for name in _KEYS:
        if name not in table and name not in _DEFAULTS:
            raise BadParameter(f"{name} is missing; {known}")
    given = {name: hyperparameters.read(name, _KEYS[name], value) for name, value in table.items()}
    values: dict[str, Any] = _DEFAULTS | given
    return ModelEntry(model_param=values.pop("param"), **values)
