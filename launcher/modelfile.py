"""A TOML file of `[[model]]` tables: rows for dc_model_list."""

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from configs.errors import BadParameter, Unknown
from configs.meant import meant
from models import variants
from storage.records import ModelEntry


class _Model(BaseModel):
    """One `[[model]]` table."""

    model_config = ConfigDict(extra="forbid")

    model_no: int = Field(ge=0)
    model_id: str = Field(min_length=1, max_length=100)
    model_group_id: str = Field(min_length=1, max_length=100)
    model_desc: str | None = Field(None, max_length=500)
    use_yn: str = Field("Y", pattern="^[YN]$")
    param: dict[str, Any] = Field(default_factory=dict)

    def entry(self) -> ModelEntry:
        return ModelEntry(
            model_no=self.model_no,
            model_id=self.model_id,
            model_group_id=self.model_group_id,
            model_param=json.dumps(self.param, ensure_ascii=False) if self.param else None,
            use_yn=self.use_yn,
            model_desc=self.model_desc,
        )


def read(path: Path) -> list[ModelEntry]:
    """The file's models, every kind and parameter checked.

    Raises:
        BadParameter: not TOML, an unknown key, an unknown kind or parameter, a number twice. The
            message names the file and the table.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadParameter(f"{path}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadParameter(f"{path}: not valid TOML: {error}") from error
    tables = content.pop("model", None)
    if content or not isinstance(tables, list) or not tables:
        raise BadParameter(f"{path}: expected [[model]] tables and nothing else")
    entries = [_entry(path, place, table) for place, table in enumerate(tables, start=1)]
    numbers = [entry.model_no for entry in entries]
    for number in numbers:
        if numbers.count(number) > 1:
            raise BadParameter(f"{path}: model_no {number} is there twice")
    return entries


def _entry(path: Path, place: int, table: Any) -> ModelEntry:
    where = f"{path}: [[model]] number {place}"
    try:
        entry = _Model.model_validate(table).entry()
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "table"
        known = ", ".join(_Model.model_fields)
        wrong = f"{key}: {problem['msg']}; "
        if problem["type"] == "extra_forbidden":
            wrong = f"unknown key {key!r}; {meant(key, _Model.model_fields)}"
        elif problem["type"] == "missing":
            wrong = f"{key} is missing; "
        raise BadParameter(f"{where}: {wrong}known keys: {known}") from None
    try:
        variants.expand(entry.model_param, entry.model_id, model_no=entry.model_no)
    except (BadParameter, Unknown) as error:
        raise BadParameter(f"{where}: {error}") from error
    return entry
