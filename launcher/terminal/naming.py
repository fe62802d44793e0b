"""How people write batches, data sets, models and parameters on a command line."""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from configs.errors import BadParameter
from pipeline.parameters import read_object

MOST_ROWS = 10**9
"""Of a --limit: above the largest whole number of a database it would be no SQL."""

_LONGEST_NAME = 32  # of dc_batch.queue and dc_batch.need_tag
_LONGEST_LIST = 500  # of dc_server.queues and dc_server.tags

BatchId = Annotated[int, typer.Argument(metavar="ID", help="batch_id of the batch.")]


def dataset_name(text: str, option: str = "--dataset") -> tuple[str, int]:
    """Group and version of `DATA001/1`."""
    group, _, version = text.rpartition("/")
    if "/" not in text:
        raise typer.BadParameter(
            f"{text!r} has no version; write {text}/1, say; `deepcredit dataset list` shows all",
            param_hint=option,
        )
    if not group or not (version.isascii() and version.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not like DATA001/1", param_hint=option)
    return group, int(version)


def model_key(text: str) -> tuple[int, int]:
    """model_no and model_sub_no of `101/2`; `101` is 101/1."""
    number, _, sub = text.partition("/")
    try:
        return int(number), int(sub or 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not like 101/2", param_hint="--model") from None


def queue_name(text: str) -> str:
    """Refuses an empty name, which a shell that does not know a variable would give, and one that
    no row can have.
    """
    return _name(text, "queue", "a queue has a name; the usual one is default")


def tag_name(text: str) -> str:
    """Likewise of a tag."""
    return _name(text, "tag", "a tag has a name, such as gpu")


def queue_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Those of a launcher; refuses also more of them than its row holds."""
    return _that_fit(tuple(map(queue_name, texts)), "queue")


def tag_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Likewise of tags."""
    return _that_fit(tuple(map(tag_name, texts)), "tag")


def _that_fit(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    length = len(json.dumps(names, ensure_ascii=False))
    if length > _LONGEST_LIST:
        raise typer.BadParameter(
            f"all {what}s of a launcher are written into dc_server.{what}s, which holds "
            f"{_LONGEST_LIST} characters, and these take {length}; give it fewer or shorter ones",
            param_hint=what,
        )
    return names


def _name(text: str, what: str, missing: str) -> str:
    if not text.strip():
        raise typer.BadParameter(missing, param_hint=what)
    if len(text) > _LONGEST_NAME:
        raise typer.BadParameter(
            f"the name of a {what} has at most {_LONGEST_NAME} characters, and this {len(text)}",
            param_hint=what,
        )
    return text


def parameters(pairs: Iterable[str], text: str | None) -> str | None:
    """batch_param as JSON; its keys are for the mode to judge."""
    values = read_object(text, "--json")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadParameter(f"--param: {pair!r} is not KEY=VALUE, such as testSize=0.3")
        values[key] = _value(value)
    return json.dumps(values, ensure_ascii=False) if values else None


def _value(text: str) -> Any:
    """JSON where it is JSON (0.3, true, [1, 2]), else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # also too many digits, or too deep
        return text
