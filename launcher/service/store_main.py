"""What a launcher lets another process execute: a look at the model store, settings on stdin, one
message on stdout. What speaks SFTP takes 10 MB, which the launcher would keep as long as it lives.
"""

import json
import os
from contextlib import closing
from pathlib import Path

from configs.errors import DatabaseUnavailable, StoreUnavailable
from configs.settings import Settings, load
from launcher.host.channel import private_pipes, read_line
from pipeline import ownership
from pipeline.messages import Failed, Finished, encode, failure
from pipeline.ownership import Standing
from storage import identity, named_files
from storage.artifacts.opening import open_store
from storage.driver_errors import naming_old_schema
from storage.engine import make_engine, reading, require_a_file


def main() -> int:
    """Exit code 1: a launcher would fail all its batches, and must not start."""
    source, target = private_pipes()
    answer: Finished | Failed
    try:
        settings = load(json.loads(read_line(source)), file=Path(os.devnull))
        answer, code = _look(settings), 0
    except BaseException as error:
        answer, code = failure(error), 1
    os.write(target, encode(answer))
    return code


def _look(settings: Settings) -> Finished | Failed:
    """Whose the store is; Failed: that cannot be told yet.

    Raises:
        StoreNotOurs: it is another database's.
        StoreUnavailable: it is empty, and should not be.
        WrongSchema: there is no such database, or its tables are not of this version.
    """
    engine = make_engine(settings)
    require_a_file(engine)
    try:
        with naming_old_schema(engine), reading(engine) as connection:
            ours = identity.database_id(connection)
            named = named_files.uris(connection)  # before we look: what is named by now is there
        with closing(open_store(settings)) as store:
            standing = ownership.look(store, ours)
    except (DatabaseUnavailable, StoreUnavailable) as error:
        return failure(error)
    finally:
        engine.dispose()
    if standing is Standing.EMPTY:
        ownership.require_none(store, named)
    return Finished(f"{standing.value}; the database is {ours}")
