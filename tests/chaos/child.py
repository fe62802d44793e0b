"""A no-op batch as a real process: waits a little, publishes a file and rows, or fails, or dies.

What it does follows from the seed, the batch and the fence alone. It imports little, so that ten
thousand of them are soon through; its guard is written out, and weakened for negative controls.
A few of them upload as the real ones do, through whatever stands before the model store.
"""

import _thread
import hashlib
import json
import os
import random
import select
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

GUARDS = {
    "claim": "batch_id = %(batch_id)s AND state = 'U' AND claim_id = %(claim_id)s",
    "state": "batch_id = %(batch_id)s AND state = 'U'",
    "id": "batch_id = %(batch_id)s",
}
UPLOAD_BYTES = 1_000_000

# Under a wrong clock libfaketime 0.9.10 lets sleep() fail unless it also stops the monotonic clock.
time.sleep = lambda seconds: select.select([], [], [], seconds)


def main() -> None:
    seed, guard, store = sys.argv[1:4]
    lingering, longest, uploads = map(float, sys.argv[4:])
    job = json.loads(sys.stdin.readline())
    _thread.start_new_thread(_die_with_launcher, ())
    claim = job["claim"]
    dice = random.Random(f"{seed}/{claim['batch_id']}/{claim['fence']}")
    fate = dice.random()
    time.sleep(dice.uniform(0, 0.06))
    if fate < 0.10:
        os._exit(9)
    if fate < 0.18:
        say("Failed", error_class="WorkerLost", error_text="dice", retry="AT_ONCE", traceback=None)
        return
    if fate < 0.18 + lingering:  # long enough to be caught by a fault in the middle
        time.sleep(dice.uniform(0.3, longest))
    uri = f"models/T{claim['batch_id']}/1/1.f{claim['fence']}.bin"
    put = upload if dice.random() < uploads else write
    publish(guard, claim, job["settings"], put(store, uri, claim, job["settings"]))
    say("Finished", summary="published")


def write(store: str, uri: str, claim: dict, _settings: dict) -> dict:
    """The file names the fence, so no run overwrites another's."""
    path = Path(store, uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{claim['claim_id']}.tmp")
    content = claim["claim_id"].encode()
    unfinished.write_bytes(content)
    unfinished.rename(path)
    return {"uri": uri, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def upload(_store: str, uri: str, claim: dict, settings: dict) -> dict:
    """As a worker does it, of a file that takes a while."""
    from tempfile import NamedTemporaryFile

    from configs.errors import StoreUnavailable
    from configs.settings import load
    from storage.artifacts.opening import open_store

    store = open_store(load(settings, file=Path(os.devnull)))
    with NamedTemporaryFile() as source:
        source.write(os.urandom(UPLOAD_BYTES))
        source.flush()
        try:
            stored = store.put(uri, Path(source.name))
        except StoreUnavailable as error:
            why = {"error_class": "StoreUnavailable", "error_text": str(error)}
            say("Failed", **why, retry="AT_ONCE", traceback=None)
            os._exit(0)
        finally:
            store.close()
    return {"uri": stored.uri, "sha256": stored.sha256, "bytes": stored.bytes}


def publish(guard: str, claim: dict, settings: dict, file: dict) -> None:
    """In one transaction: hold the batch, replace its result."""
    # Neither is used here, and to import them takes longer than all the rest.
    sys.modules |= {"ssl": None, "cryptography.hazmat.backends": None}
    import pymysql

    address = urlsplit(settings["database_url"])
    connection = pymysql.connect(
        host=address.hostname,
        port=address.port or 3306,
        user=address.username,
        password=os.environ["DEEPCREDIT_DATABASE_PASSWORD"],
        database=address.path.strip("/"),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("START TRANSACTION")
        held = f"SELECT 1 FROM dc_batch WHERE {GUARDS[guard]} FOR UPDATE"
        if not cursor.execute(held, claim):
            say("Failed", error_class="LeaseLost", error_text="", retry="LATER", traceback=None)
            os._exit(0)
        for table in ("dc_batch_result", "dc_model"):
            cursor.execute(f"DELETE FROM {table} WHERE batch_id = %(batch_id)s", claim)
        cursor.execute(
            "INSERT INTO dc_batch_result (batch_id, model_no, model_sub_no, split, fence, state) "
            "VALUES (%(batch_id)s, 1, 1, 'all', %(fence)s, 'C')",
            claim,
        )
        cursor.execute(
            "INSERT INTO dc_model (batch_id, model_no, model_sub_no, fence, model_id, params, "
            "threshold, uri, format, sha256, bytes, scores_uri, scores_sha256, split_id, "
            "preprocessor_uri, preprocessor_sha256, fingerprint) VALUES (%(batch_id)s, 1, 1, "
            "%(fence)s, 'noop', '{}', 0, %(uri)s, 'bin', %(sha256)s, %(bytes)s, %(uri)s, "
            "%(sha256)s, '', %(uri)s, '', '')",
            claim | file,
        )
        connection.commit()


def say(kind: str, **body: object) -> None:
    print(json.dumps({"type": kind, **body}), flush=True)


def _die_with_launcher() -> None:
    while os.read(0, 1024):
        continue
    os._exit(3)


main()
