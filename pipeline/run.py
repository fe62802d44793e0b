"""The one entry into a batch's work: read the row, check its parameters, run its mode."""

from contextlib import closing
from dataclasses import replace

from sqlalchemy import Engine

from configs.errors import LeaseLost
from configs.settings import Settings
from pipeline import mode, ownership, parameters
from pipeline.context import Context
from pipeline.executor import Executor
from pipeline.progress import Report
from storage import batches, identity, named_files, scratch
from storage.artifacts.port import Store
from storage.cache import open_cache
from storage.records import Claim


def execute(
    claim: Claim,
    *,
    settings: Settings,
    engine: Engine,
    store: Store,
    executor: Executor,
    report: Report,
) -> str:
    """Run the claimed batch and return a line that sums it up.

    The state of the row is left to the caller, who renews the lease meanwhile.

    Raises:
        LeaseLost: the batch is no longer ours.
        StoreNotOurs: the model store is another database's.
        DeepCreditError: what went wrong; its type says whether to try again.
    """
    with closing(open_cache(settings)) as cache:
        context = Context(
            settings=settings,
            engine=engine,
            store=store,
            cache=cache,
            executor=executor,
            claim=claim,
            report=report,
        )
        batch = context.read(lambda connection: batches.read(connection, claim.batch_id))
        if batch is None or batch.claim_id != claim.claim_id:
            raise LeaseLost
        ours = context.read(identity.database_id)
        report(0.0, "looking at the model store")
        ownership.take(
            store,
            ours,
            where=engine.url,
            named=lambda: context.read(named_files.uris),
        )
        chosen = mode.find(batch.mode)
        checked = parameters.parse(batch.batch_param, chosen.Parameters)
        cache.clean()
        scratch.clean()
        return chosen.run(batch, checked, replace(context, tag=batch.need_tag or ""))
