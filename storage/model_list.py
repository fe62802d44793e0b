"""dc_model_list: which models a model group trains, and with which parameters."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, func, select

from configs.errors import NotFound
from configs.meant import meant, some
from storage.records import ModelEntry
from storage.schema import dc_model_list
from storage.upsert import upsert

_models = dc_model_list.c


def group(connection: Connection, model_group: str | None) -> list[ModelEntry]:
    """The models in use (`use_yn` is Y) of the group that a train batch names, by model_no.

    Raises:
        NotFound: it names none, the group does not exist, or none of its models is in use.
    """
    found = _read(
        connection,
        select(dc_model_list)
        .where(_models.model_group_id == model_group, func.upper(_models.use_yn) == "Y")
        .order_by(_models.model_no),
    )
    if not found:
        raise NotFound(_no_group(connection, model_group))
    return found


def listing(connection: Connection, model_group: str | None = None) -> list[ModelEntry]:
    """Every model, or those of one group, also those not in use; by group and model_no.

    Raises:
        NotFound: there is no such group.
    """
    query = select(dc_model_list).order_by(_models.model_group_id, _models.model_no)
    if model_group is None:
        return _read(connection, query)
    found = _read(connection, query.where(_models.model_group_id == model_group))
    if not found:
        raise NotFound(_no_group(connection, model_group))
    return found


def moving(connection: Connection, entries: Iterable[ModelEntry]) -> dict[str, list[int]]:
    """The models that each group would lose to other groups if `entries` were put."""
    wanted = {entry.model_no: entry.model_group_id for entry in entries}
    lost: dict[str, list[int]] = {}
    for there in listing(connection):
        if wanted.get(there.model_no, there.model_group_id) != there.model_group_id:
            lost.setdefault(there.model_group_id, []).append(there.model_no)
    return lost


def put(connection: Connection, entries: Iterable[ModelEntry]) -> None:
    """Insert the models; one whose model_no is there already is replaced."""
    for entry in entries:
        upsert(connection, dc_model_list, {"model_no": entry.model_no}, asdict(entry))


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[ModelEntry]:
    return [ModelEntry.from_row(row) for row in connection.execute(query)]


def _no_group(connection: Connection, model_group: str | None) -> str:
    query = select(_models.model_group_id).distinct().order_by(_models.model_group_id)
    groups = list(connection.scalars(query))
    if model_group in groups:
        return (
            f"model group {model_group!r} has no model in use; "
            "set use_yn to 'Y' in dc_model_list for those to train"
        )
    wrong = f"unknown model group {model_group!r}"
    if model_group is None:
        wrong = "a train batch needs model_group"
    if not groups:
        return f"{wrong}; dc_model_list is empty: fill it with `deepcredit model load`"
    return f"{wrong}; {meant(model_group or '', groups)}there are: {some(groups, 20)}"
