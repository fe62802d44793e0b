import pytest

from storage import batches, claims, queues, servers, sweeping, taking
from storage.columns import utc_now
from storage.engine import make_engine, reading, transaction
from storage.kept import kept
from storage.offers import HERE, Offer

OFFER = Offer(server="S", tags=("cpu",), free_mb=1000)

ROWS = {
    "waiting": {},
    "completed": {"state": "C"},
    "running": {"state": "U", "lease_until": utc_now(60)},
    "failed for good": {"state": "E"},
    "retry due": {"state": "E", "run_after": utc_now(-1), "attempt": 1},
    "retry later": {"state": "E", "run_after": utc_now(60), "attempt": 1},
    "attempts used up": {"state": "E", "run_after": utc_now(-1), "attempt": 3},
    "starts later": {"run_after": utc_now(60)},
    "our tag": {"need_tag": "cpu"},
    "another tag": {"need_tag": "gpu"},
    "enough memory": {"need_mem_mb": 1000},
    "too little memory": {"need_mem_mb": 1001},
    "another queue": {"queue": "night"},
    "cancelled": {"cancel_requested_at": utc_now()},
    "waits for its parent": {"train_batch_id": 1},
    "key in use": {"concurrency_key": "k"},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("state", ["ready", "server paused", "queue paused"])
def test_it_sees_what_a_claim_would_take(engine, database_settings, row, state):
    def prepare(connection):
        running = {"state": "U", "lease_until": utc_now(60), "concurrency_key": "k", "queue": "x"}
        batches.add(connection, batch_id=1, **running)
        batches.add(connection, **row)
        if state == "server paused":
            servers.pause(connection, "S")
        if state == "queue paused":
            queues.pause(connection, "default")

    transaction(engine, prepare)
    peeking = make_engine(database_settings, autocommit=True)
    with reading(peeking) as connection:
        seen = taking.claimable(connection, OFFER)
        unhindered = [each for each in kept(connection, HERE, OFFER) if each.reason is None]
    claimed = transaction(
        engine, lambda connection: claims.claim(connection, OFFER, identity="i", lease_seconds=9)
    )
    peeking.dispose()

    assert seen == bool(unhindered) == (claimed is not None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, False),
        ({"state": "U", "lease_until": utc_now(60)}, False),
        ({"state": "U", "lease_until": utc_now(-1)}, True),
        ({"state": "U"}, True),
        ({"cancel_requested_at": utc_now()}, True),
        ({"state": "U", "lease_until": utc_now(60), "cancel_requested_at": utc_now()}, True),
        ({"state": "C", "cancel_requested_at": utc_now()}, True),
    ],
)
def test_it_sees_what_a_sweep_would_look_after(engine, row, expected):
    batch_id = transaction(engine, lambda connection: batches.add(connection, **row))
    with reading(engine) as connection:
        before = batches.read(connection, batch_id)
        assert sweeping.needed(connection) == expected
    transaction(engine, sweeping.sweep)
    with reading(engine) as connection:
        assert (batches.read(connection, batch_id) != before) == expected
        assert not sweeping.needed(connection)


def test_a_cancel_of_what_a_launcher_runs_is_left_to_it(calls):
    calls.add()
    calls.take()
    calls.sql("UPDATE dc_batch SET cancel_requested_at = created_at")

    assert not calls(sweeping.needed)
    calls(sweeping.sweep)
    assert calls.states() == "U"
