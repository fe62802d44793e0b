"""A no-op batch as a real process: waits a little, publishes a file and a row, or fails, or dies.

What it does follows from the seed, the batch and the fence alone. It imports little, so that ten
thousand of them are soon through; its guard is written out, and weakened for negative controls.
"""

import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pymysql

GUARDS = {
    "claim": "batch_id = %(batch_id)s AND state = 'U' AND claim_id = %(claim_id)s",
    "state": "batch_id = %(batch_id)s AND state = 'U'",
    "id": "batch_id = %(batch_id)s",
}


def main() -> None:
    seed, guard, store = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    lingering, longest = float(sys.argv[4]), float(sys.argv[5])
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_die_with_launcher, daemon=True).start()
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
    write(store, claim)
    publish(guard, claim, job["settings"]["database_url"])
    say("Finished", summary="published")


def write(store: Path, claim: dict) -> None:
    """The file names the fence, so no run overwrites another's."""
    folder = store / f"T{claim['batch_id']}"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{os.getpid()}.tmp"
    unfinished.write_text(claim["claim_id"])
    unfinished.rename(folder / f"f{claim['fence']}")


def publish(guard: str, claim: dict, url: str) -> None:
    """In one transaction: hold the batch, replace its result."""
    address = urlsplit(url)
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
        cursor.execute("DELETE FROM dc_batch_result WHERE batch_id = %(batch_id)s", claim)
        cursor.execute(
            "INSERT INTO dc_batch_result (batch_id, model_no, model_sub_no, split, fence, state) "
            "VALUES (%(batch_id)s, 1, 1, 'all', %(fence)s, 'C')",
            claim,
        )
        connection.commit()


def say(kind: str, **body: object) -> None:
    print(json.dumps({"type": kind, **body}), flush=True)


def _die_with_launcher() -> None:
    while os.read(0, 1024):
        continue
    os._exit(3)


main()
