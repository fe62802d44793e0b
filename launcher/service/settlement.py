"""Giving a batch its end, through lost connections and lost answers."""

import threading
import time
from collections.abc import Callable, Collection

import structlog
from sqlalchemy import Connection, Engine

from configs.backoff import pauses
from configs.errors import DatabaseRefused, DatabaseUnavailable
from storage import claims
from storage.engine import transaction
from storage.records import Claim, State

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_HURRY_SECONDS = 5.0

log = structlog.get_logger(__name__)


def settle(
    engine: Engine,
    claim: Claim,
    work: Callable[[Connection], bool],
    expected: Collection[State],
    *,
    seconds: float,
    hurry: threading.Event,
) -> State | None:
    """Call `work` (finish, fail or release of the claim) until the database has answered.

    Safe to repeat: when the answer to a COMMIT was lost, the next try finds what it did. While the
    database is away it goes on, however long that is: work that was finished meanwhile counts if
    nobody took the batch. It gives up a few seconds after `hurry` was set, and what fails for
    another reason after `seconds`. Returns the state that the batch has in this claim; None: it is
    not in one of those expected, or nobody answered. Then its lease runs out and it is taken for
    dead.
    """

    def once(connection: Connection) -> State | None:
        work(connection)
        return claims.settled(connection, claim)

    started = time.monotonic()
    deadline = float("inf")
    waits = pauses(_FIRST_PAUSE, min(_LONGEST_PAUSE, seconds / 8))
    hurried = failing = False
    while True:
        try:
            state = transaction(engine, once, attempts=1)
        except Exception as error:  # whatever it is, it may pass
            if not isinstance(error, DatabaseUnavailable | DatabaseRefused):
                deadline = min(deadline, started + seconds)
            if not failing:
                log.warning("cannot end the batch; trying on", **_facts(claim), error=str(error))
            failing = True
        else:
            if state != "U":
                return state if state in expected else None
        if hurry.is_set() and not hurried:
            hurried = True
            deadline = min(deadline, time.monotonic() + _HURRY_SECONDS)
        if time.monotonic() >= deadline:
            log.error("gave up ending the batch; it will be retried", **_facts(claim))
            return None
        wait = next(waits)
        time.sleep(wait) if hurried else hurry.wait(wait)


def give_back(engine: Engine, claim: Claim) -> None:
    """Release a claim under which nothing runs; if nobody answers for some seconds, its lease ends
    it. A claim that did not arrive, or is not ours any more, is left alone.
    """
    hurry = threading.Event()
    hurry.set()
    settle(
        engine,
        claim,
        lambda connection: claims.release(connection, claim),
        ("I", "E"),
        seconds=_HURRY_SECONDS,
        hurry=hurry,
    )


def _facts(claim: Claim) -> dict[str, int]:
    return {"batch_id": claim.batch_id, "fence": claim.fence}
