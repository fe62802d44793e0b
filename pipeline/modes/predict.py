"""Mode predict: models of a train batch, or an ensemble of them, applied to the rows set aside or
to another data set.
"""

from contextlib import suppress

from pydantic import Field
from sqlalchemy import Connection

from configs.errors import ParentNotReady
from pipeline import applying
from pipeline.context import Context
from pipeline.parameters import BatchParameters
from pipeline.subjects import Scope
from storage.records import Batch

IGNORED = ("candidate_id", "model_group")
SCORES_ROWS = True


class Parameters(BatchParameters):
    """batch_param of a predict batch."""

    scope: Scope | None = Field(
        None,
        description="test: the rows set aside in training; all: every row; default: test on the "
        "data set trained on, all on another",
    )


def check(connection: Connection, batch: Batch, parameters: Parameters) -> tuple[str, ...]:  # noqa: ARG001 - as every mode
    """Raise what a run would end with before it reads the data."""
    with suppress(ParentNotReady):  # it waits for that one
        applying.parent_of(connection, batch)
    return ()


def run(batch: Batch, parameters: Parameters, context: Context) -> str:
    """What an earlier run finished is kept."""
    return applying.apply(batch, parameters.scope, parameters, context)
