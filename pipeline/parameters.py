"""batch_param: JSON text in, typed parameters out, or an error that names key and remedy."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from configs import json_object
from configs.allowed import allowed, choices
from configs.errors import BadParameter
from configs.meant import meant

P = TypeVar("P", bound="BatchParameters")

_POWER = re.compile(r"-?\d+(\.\d+)?[eE][+-]?\d+")


class BatchParameters(BaseModel):
    """Keys that every mode knows. Numbers may come as strings, as in '{"testSize": "0.3"}'."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False
    )

    random_state: int = Field(42, ge=0, le=2**32 - 1, description="seed of everything random")
    time_limit: float | None = Field(
        None, gt=0, description="seconds of a run, reading included; what was done by then is kept"
    )
    on_model_error: Literal["continue", "fail"] = Field(
        "continue",
        description="fail: one failed model ends the batch; ensembles need all their models, "
        "so there it always does",
    )

    def deadline(self) -> float | None:
        """When timeLimit ends if it begins now, on time.monotonic; None: there is none."""
        return None if self.time_limit is None else time.monotonic() + self.time_limit

    @field_validator("*", mode="before")
    @classmethod
    def _only_numbers_as_numbers(cls, value: Any, field: ValidationInfo) -> Any:
        """So that no true is read as 1, which for testSize is one row, no 1 or "yes" as true, and
        "1e6" is what 1e6 is.
        """
        if cls.model_fields[str(field.field_name)].annotation is bool:
            if str(value).lower() not in {"true", "false"}:
                raise ValueError
            return value
        several = value if isinstance(value, list) else [value]
        if any(isinstance(each, bool) for each in several):
            raise ValueError
        read = [
            float(each) if isinstance(each, str) and _POWER.fullmatch(each) else each
            for each in several
        ]
        return read if isinstance(value, list) else read[0]


def read_object(text: str | None, name: str) -> dict[str, Any]:
    """Parameters not yet judged; `name` is what messages call the text."""
    return json_object.read_object(text, name, '{"testSize": 0.3}')


def parse(text: str | None, model: type[P]) -> P:
    """Read batch_param; NULL and blank text mean all defaults.

    Raises:
        BadParameter: not JSON, not an object, an unknown or repeated key, a wrong type or a value
            out of range. The text names the key and what is allowed.
    """
    values = read_object(text, "batch_param")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # Each type of a union has its own complaint.
        keys = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors())
        problems = "; ".join(_problem(key, values, model) for key in keys)
        raise BadParameter(f"batch_param: {problems}") from None


def _problem(key: str, values: Mapping[str, Any], model: type[BatchParameters]) -> str:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if key not in fields:
        return f"unknown key {key!r:.80}; {meant(key, fields)}allowed are: {', '.join(fields)}"
    field, value = fields[key], values[key]
    written = json.dumps(value, ensure_ascii=False)
    hint = meant(value, choices(field.annotation)) if isinstance(value, str) else ""
    return (
        f"{key} = {written:.80} is not allowed; {hint}allowed: {allowed(field)} "
        f"({field.description})"
    )
