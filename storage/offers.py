"""What one launcher has for batches, and what therefore keeps it from one."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Integer, and_, bindparam, exists

from storage.obstacles import OTHERS, PAUSED_QUEUE, TIME, Obstacle, none_of
from storage.schema import dc_batch, dc_server

_batch = dc_batch.c
_server = dc_server.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a launcher has for batches: which it may claim. `queues`: the most urgent first;
    `free_mb` None: memory is not looked at.
    """

    server: str
    queues: tuple[str, ...] = ("default",)
    tags: tuple[str, ...] = ()
    free_mb: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the conditions below, which are named as the fields are."""
        return asdict(self)


_free_mb = bindparam("free_mb", type_=Integer())

HERE = (
    Obstacle(
        "queue unserved here",
        _batch.queue.not_in(bindparam("queues", expanding=True)),
        by=("queue",),
    ),
    PAUSED_QUEUE,
    Obstacle(
        "paused here",
        exists().where(_server.serve_server_id == bindparam("server"), _server.paused != 0),
    ),
    Obstacle(
        "no tag here",
        and_(
            _batch.need_tag.is_not(None),
            _batch.need_tag.not_in(bindparam("tags", expanding=True)),
        ),
        by=("need_tag",),
    ),
    Obstacle(
        "no memory here",
        and_(
            _free_mb.is_not(None),
            _batch.need_mem_mb.is_not(None),
            _batch.need_mem_mb > _free_mb,
        ),
    ),
    TIME,
    *OTHERS,
)
"""All that may keep a launcher from a batch."""

offered = and_(_batch.cancel_requested_at.is_(None), none_of(HERE))
"""Nothing keeps the launcher from the row."""
