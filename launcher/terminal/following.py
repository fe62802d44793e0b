"""Following a batch to its end, on a terminal."""

import time

from sqlalchemy import Connection

from configs.errors import DatabaseUnavailable
from launcher.terminal.console import progress
from launcher.terminal.session import Session
from storage import batches, listing
from storage.records import Batch

_POLL_SECONDS = 0.5


def follow(session: Session, batch_id: int, timeout: float | None) -> Batch | None:
    """The batch once it has ended, None at the timeout; a retry that is due is no end. Meanwhile
    its progress is shown, or what it waits for. A database that goes away meanwhile is asked again,
    as launchers do: the batch may go on.

    Raises:
        NotFound: there is no such batch, or it was deleted.
        DatabaseUnavailable: the database does not answer at the first time.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    share: float | None = None
    with progress(f"batch {batch_id}") as bar:
        while True:
            try:
                now, waits_for = session.read(lambda connection: _look(connection, batch_id))
            except DatabaseUnavailable as error:
                if share is None:
                    raise
                note = f"{error}; trying on"
            else:
                if now.ended:
                    return now
                # A row set to I by hand keeps it.
                share = 0.0 if now.state == "I" else now.progress or 0.0
                note = waits_for or now.progress_note or ""
            bar(share, note)
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_SECONDS)


def _look(connection: Connection, batch_id: int) -> tuple[Batch, str | None]:
    found = batches.existing(connection, batch_id)
    waits_for = None if found.state == "U" else listing.waits_for(connection, batch_id)
    return found, f"waits for {waits_for}" if waits_for else None
