"""The row of dc_server by which people see a launcher."""

from functools import partial

import structlog
from sqlalchemy import Engine

from configs.errors import WrongState
from launcher.host.machine import most_memory_mb
from launcher.host.processes import was_told
from launcher.service.profile import Profile
from storage import health, servers, sweeping
from storage.engine import reading, transaction

_ROLE = "deepcredit_launcher"

log = structlog.get_logger(__name__)


def check_rights(engine: Engine) -> None:
    """Raises DatabaseUnavailable and DatabaseRefused: else each claim would fail, or each batch at
    its end.
    """
    with reading(engine) as connection:
        health.require_rights(connection, _ROLE)


class Registration:
    """The row of one launcher in dc_server. What it runs has leases of its own, so only its pause,
    which an operator may set, depends on the row.
    """

    def __init__(self, engine: Engine, peeking: Engine, profile: Profile) -> None:
        """`peeking`: an engine whose reads cost one statement (make_engine with autocommit)."""
        self._engine = engine
        self._peeking = peeking
        self._profile = profile
        self._host = profile.host
        self._server_id = profile.server_id
        self._rival: str | None = None

    def check_id(self) -> None:
        """Raises as `enter`, and WrongState: a launcher with this id is at work on this host.

        One of another host cannot be told from a dead one; if it lives, it will notice us.
        """
        with reading(self._engine) as connection:
            there = servers.at_work(connection)
        for each in there:
            pid = each.pid
            if each.serve_server_id == self._server_id and pid and self._lives(each.identity, pid):
                raise WrongState(
                    f"launcher {self._server_id} runs on this host already, as process {pid}; "
                    "stop that one first, or give this one an id of its own"
                )

    def _lives(self, identity: str | None, pid: int) -> bool:
        """Numbers of processes come again, small ones soon in containers."""
        return self._host.is_neighbour(identity, pid) and was_told(pid, self._server_id)

    def reap(self) -> list[tuple[int, int]]:
        """Give an end to what a former process of this id held on this host, as a sweep does when
        its lease has ended; returns batch_id and fence. Raises as `enter`.
        """
        return transaction(
            self._engine, lambda c: sweeping.reap(c, self._server_id, self._host.outlived)
        )

    def enter(self) -> None:
        """Raises DatabaseUnavailable and DatabaseRefused."""
        transaction(
            self._engine,
            partial(
                servers.register,
                server=self._server_id,
                identity=self._host.identity,
                host=self._host.name,
                pid=self._host.pid,
                version=self._host.version,
                slots=self._profile.slots,
                tags=self._profile.tags,
                queues=self._profile.queues,
                gpus=self._host.gpus,
                memory_mb=most_memory_mb(),
            ),
        )

    def renew(self, takes_none: str | None) -> None:
        """Say that the launcher lives, and why it claims nothing if so; raises as `enter`. A row
        that was deleted comes back.
        """
        owner = transaction(
            self._peeking,
            lambda connection: servers.renew(
                connection,
                self._server_id,
                self._host.identity,
                memory_mb=most_memory_mb(),
                takes_none=takes_none,
            ),
        )
        if owner is None:
            self.enter()
        elif owner not in (self._host.identity, self._rival):
            self._rival = owner
            log.error(
                "another launcher was started under the same id; give each an id of its own",
                server_id=self._server_id,
                here=self._host.identity,
                there=owner,
            )

    def leave(self) -> None:
        """Never fails: a launcher that leaves cannot do anything about it."""
        try:
            transaction(
                self._engine, lambda c: servers.remove(c, self._server_id, self._host.identity)
            )
        except Exception as error:
            log.warning("the launcher could not take itself off dc_server", error=str(error))
