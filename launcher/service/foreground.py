"""Running one batch here and now, for whoever waits for it at a terminal."""

from collections.abc import Callable, Sequence

from configs.settings import Settings
from launcher.service.child import COMMAND
from launcher.service.claimer import Claimer
from launcher.service.clusters import Cluster, make_cluster
from launcher.service.heartbeat import patience_of
from launcher.service.orders import Orders
from launcher.service.profile import Profile
from launcher.service.registration import check_rights
from launcher.service.slots import Slots
from launcher.service.verdict import Stopping
from pipeline.messages import Progress
from storage.engine import make_engine


def run_one(
    settings: Settings,
    server_id: str,
    batch_id: int,
    *,
    watch: Callable[[Progress], None] | None = None,
    command: Sequence[str] = COMMAND,
    cluster: Cluster | None = None,
) -> bool:
    """Run this batch, whatever its queue; whether it was completed.

    `watch` is called from another thread. A signal stops the batch and gives it back.

    Raises:
        NotFound: there is no such batch.
        WrongState: it cannot be claimed; the message says why.
        DatabaseUnavailable, DatabaseRefused: it could not be claimed.
    """
    lease = settings.lease_seconds
    engine = make_engine(settings, timeout_seconds=patience_of(lease))
    cluster = cluster or make_cluster(settings)
    slots = Slots(1, engine=engine, settings=settings, cluster=cluster, command=command)
    claimer = Claimer(engine, engine, Profile(server_id=server_id), lease_seconds=lease)
    orders = Orders(settings.grace_seconds, wake=slots.wake)
    outcome = None
    with orders.heard():
        try:
            check_rights(engine)
            claimed = claimer.this(batch_id)
            slots.start(claimed.batch, claimed.at, watch)
            while slots.busy:
                if orders.stopping() is not Stopping.NO:
                    slots.stop(Stopping.NOW)
                outcome = slots.wait(None) or outcome
        finally:
            slots.close()
            claimer.give_back_doubtful()
            engine.dispose()
    return outcome is not None and outcome.state == "C"
