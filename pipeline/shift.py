"""Whether models score the rows of another data set otherwise than those of test: the population
stability index (PSI) of each model, and what the batch says of it.
"""

from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import Connection

from configs.wording import counted
from models import bands
from models.bands import Bands
from pipeline.context import Context
from pipeline.subjects import Selection
from storage import results, score_bands
from storage.records import ModelKey

MODERATE, LARGE = 0.1, 0.25  # the usual rule of thumb, as in Siddiqi, Credit Risk Scorecards, 2006

Expected = Mapping[ModelKey, Mapping[int, int]]
"""How many rows of test each model has in which band."""

log = structlog.get_logger(__name__)


def expected(train_batch_id: int, selection: Selection, context: Context) -> Expected:
    """Nothing where the rows are those of training: models score what they learned from otherwise
    than test, though the applicants are the same.
    """
    if selection.dataset.content_sha256 == selection.split.content_sha256:
        return {}
    return context.read(
        lambda connection: score_bands.rows_by_band(connection, train_batch_id, "test")
    )


def psi(of_test: Mapping[int, int] | None, found: Bands) -> float | None:
    """None where there is nothing to compare."""
    return _psi(of_test, {each.band: each.n_rows for each in found})


def _psi(of_test: Mapping[int, int] | None, found: Mapping[int, int] | None) -> float | None:
    return bands.stability(of_test, found) if of_test and found else None


def renew(
    connection: Connection,
    batch_id: int,
    kept: Iterable[ModelKey],
    selection: Selection,
    of_test: Expected,
) -> None:
    """Compare anew what is kept of an earlier run: the batch may have named another train batch
    then, whose model is the same, but not its rows of test.
    """
    found = score_bands.rows_by_band(connection, batch_id, selection.scope)
    indices = {key: _psi(of_test.get(key), found.get(key)) for key in kept}
    results.put_psi(connection, batch_id, indices)


def doubts(selection: Selection, context: Context) -> tuple[str, ...]:
    """Remarks that scores of a batch have shifted, unless that may be chance in so few rows."""
    batch_id = context.claim.batch_id
    found = context.read(lambda connection: results.psi(connection, batch_id))
    if not found:
        return ()
    chance = bands.chance(selection.split.n_test, selection.dataset.n_rows)
    said = in_words(found, chance)
    for doubt in said:
        log.warning("shifted scores", batch_id=batch_id, note=doubt)
    return said


def in_words(found: Sequence[float], chance: float) -> tuple[str, ...]:
    """What is said of the indices of models; none of them counts that `chance` alone may reach."""
    for least, how in ((LARGE, "have shifted"), (MODERATE, "have shifted moderately")):
        beyond = [index for index in found if index > max(least, chance)]
        if beyond:
            which = f"{len(beyond)} of {counted(len(found), 'model')}"
            return (f"scores of {which} {how} (PSI above {least}, up to {max(beyond):.3f})",)
    return ()
