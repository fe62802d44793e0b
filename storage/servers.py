"""Launchers as operators see them: who is there, since when, and who is paused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    literal,
    null,
    select,
    update,
)

from storage.columns import seconds_between, utc_now
from storage.schema import dc_server
from storage.upsert import upsert

_SILENT_SECONDS = 180  # several beats of a launcher with the usual lease; a dead one leaves its row

_server = dc_server.c

AT_WORK = and_(
    _server.identity.is_not(None), _server.last_seen > utc_now(literal(-_SILENT_SECONDS))
)
"""A launcher that runs, as far as one can tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A launcher; `identity` None: it has stopped. `silent`: seconds since it was last seen.
    `takes_none`: why it claims nothing at present.
    """

    serve_server_id: str
    identity: str | None
    host: str | None
    pid: int | None
    version: str | None
    started_at: datetime | None
    last_seen: datetime | None
    silent: int | None
    slots: int | None
    tags: tuple[str, ...]
    queues: tuple[str, ...]
    gpus: int | None
    paused: int
    memory_mb: int | None
    takes_none: str | None


def register(
    connection: Connection,
    *,
    server: str,
    identity: str,
    host: str,
    pid: int,
    version: str,
    slots: int,
    tags: Sequence[str] = (),
    queues: Sequence[str] = ("default",),
    gpus: int = 0,
    memory_mb: int | None = None,
) -> None:
    """A launcher has started. A pause that an operator set before stays. `memory_mb`: the most that
    its batches may need.
    """
    upsert(
        connection,
        dc_server,
        {"serve_server_id": server},
        {
            "identity": identity,
            "host": host,
            "pid": pid,
            "version": version,
            "started_at": utc_now(),
            "last_seen": utc_now(),
            "slots": slots,
            # As JSON_QUOTE of SQL writes a name, which v_batch looks for.
            "tags": json.dumps(list(tags), ensure_ascii=False),
            "queues": json.dumps(list(queues), ensure_ascii=False),
            "gpus": gpus,
            "memory_mb": memory_mb,
            "takes_none": null(),
        },
    )


def renew(
    connection: Connection,
    server: str,
    identity: str,
    *,
    memory_mb: int | None = None,
    takes_none: str | None = None,
) -> str | None:
    """The launcher is alive; `takes_none`: why it claims nothing at present. Returns whose row it
    is: another's if one was started later under the same name, which then keeps it; None: nobody's,
    as after an operator deleted it.

    This is for people to read; what it runs has leases of its own. So a row that somebody else has
    locked is left alone, and nobody is waited for.
    """
    whose = select(_server.identity).where(_server.serve_server_id == server)
    if connection.scalar(whose.with_for_update(skip_locked=True)) == identity:
        own = (_server.serve_server_id == server, _server.identity == identity)
        now = {"last_seen": utc_now(), "memory_mb": memory_mb, "takes_none": takes_none}
        connection.execute(update(dc_server).where(*own).values(now))
        return identity
    owner: str | None = connection.scalar(whose)
    return owner


def listing(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Server, ...]:
    silent = seconds_between(_server.last_seen, utc_now()).label("silent")
    query = select(dc_server, silent).where(*conditions).order_by(_server.serve_server_id)
    return tuple(map(_decoded, connection.execute(query).mappings()))


def _decoded(row: RowMapping) -> Server:
    """A launcher that names no queue serves the default one, as v_batch has it."""
    queues = row["queues"] or ('["default"]' if row["identity"] else "[]")
    return Server(**{**row, "tags": _names(row["tags"] or "[]"), "queues": _names(queues)})


def _names(text: str) -> tuple[str, ...]:
    """The names in a JSON list. Anything else, which an operator has written there, is one name: a
    row that cannot be read must not keep other launchers from starting.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return tuple(map(str, found)) if isinstance(found, list) else (str(found),)


def at_work(connection: Connection) -> tuple[Server, ...]:
    """The servers, without those that died and could not take themselves off the list."""
    return listing(connection, AT_WORK)


def remove(connection: Connection, server: str, identity: str) -> None:
    """The launcher has stopped. One that started since under the same name is left alone, and the
    row of a paused server stays, so that it is still paused when it comes back.
    """
    own = (_server.serve_server_id == server, _server.identity == identity)
    connection.execute(delete(dc_server).where(*own, _server.paused == 0))
    gone = {"identity": null(), "pid": null(), "takes_none": null()}
    connection.execute(update(dc_server).where(*own).values(gone))


def pause(connection: Connection, server: str) -> None:
    """Keep a server from claiming batches, also one that is yet to start; what it runs goes on."""
    upsert(connection, dc_server, {"serve_server_id": server}, {"paused": 1})


def resume(connection: Connection, server: str) -> None:
    """The row goes if no launcher has it: a name that was mistyped is not to stay."""
    row = _server.serve_server_id == server
    connection.execute(delete(dc_server).where(row, _server.identity.is_(None)))
    connection.execute(update(dc_server).where(row).values(paused=0))
