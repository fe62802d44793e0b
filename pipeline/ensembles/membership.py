"""Who votes in any ensemble of a finished batch, stored or not."""

from sqlalchemy import Connection

from configs.errors import BadData, BadParameter, NotFound
from configs.meant import some
from ensemble.sampling import members_of
from pipeline.ensembles.combining import Rounds, from_json
from storage import batches, ensembles
from storage.records import ModelName

_SHOWN = 8


def members_in(
    connection: Connection, batch_id: int, ensemble_no: int
) -> tuple[tuple[ModelName, ...], ...]:
    """The models of each round, as ensemble.sampling draws them of the batch's candidates.

    Raises:
        NotFound: there is no such batch, or it has no report: not yet, or it failed.
        BadParameter: the batch did not try such an ensemble.
        BadData: somebody changed what the batch wrote.
    """
    vote = next(
        (
            each.parameters
            for each in ensembles.methods(connection, batch_id)
            if (each.method, each.split) == ("vote", "valid")
        ),
        None,
    )
    if vote is None:
        raise NotFound(no_report(connection, batch_id))
    best = from_json(vote)
    if not isinstance(best, Rounds):
        raise BadData(
            f"batch {batch_id}: dc_batch_method.parameters of vote are not rounds of votes, as an "
            "ensemble batch writes them; run the batch again"
        )
    if not any(first <= ensemble_no <= last for first, last in best.tried):
        spans = [f"{first} to {last}" for first, last in best.tried]
        shown = some(spans, _SHOWN)
        raise BadParameter(f"batch {batch_id} has ensembles {shown}, not {ensemble_no}")
    names = [member.name for member in ensembles.members(connection, batch_id)]
    rounds, members = len(best.rounds), len(best.rounds[0])
    # By the definition: for one ensemble, machine code takes longer to make than this takes.
    drawn = members_of(best.seed, ensemble_no, rounds, members, len(names))
    return tuple(tuple(names[place] for place in chosen) for chosen in drawn)


def no_report(connection: Connection, batch_id: int) -> str:
    """Why there is no report of this batch."""
    batch = batches.read(connection, batch_id)
    if batch is None:
        return batches.no_such(batch_id)
    if batch.mode != "ensemble":
        return f"batch {batch_id} is a {batch.mode} batch, not an ensemble batch"
    return batch.failure or f"batch {batch_id} has no report yet"
