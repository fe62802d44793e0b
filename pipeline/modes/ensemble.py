"""Mode ensemble: a million votes of a candidate list's models, the best of them, and baselines."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field
from sqlalchemy import Connection

from configs import plugins
from configs.errors import BadParameter, ParentNotReady
from configs.helpers import awaited
from configs.metric_names import VoteMetric
from configs.wording import counted
from ensemble.rule import ROUNDS, Rule
from ensemble.sampling import SEEDS
from ensemble.search import Search
from models.versions import provenance
from pipeline.context import Context
from pipeline.ensembles import methods, searching
from pipeline.ensembles.candidates import list_of, repeated, usable
from pipeline.ensembles.histograms import bins
from pipeline.ensembles.learning import baselines
from pipeline.ensembles.methods import Judged
from pipeline.ensembles.ranking import best_rows, every_row
from pipeline.ensembles.searching import Order, Searched
from pipeline.ensembles.stored_scores import Board, assemble
from pipeline.ensembles.voters import BEST, details
from pipeline.parameters import BatchParameters
from storage import candidates, ensembles
from storage.ensembles import EnsembleReport, Member, Picture
from storage.records import Batch

MOST_KEPT = 1_000_000
MOST_EVERY = 10_000_000
MOST_DETAILS = 10_000
MOST_VOTERS = 400_000
"""Members of all rounds of an ensemble. The answer's stand in one row as JSON, each in up to 38
bytes, and MariaDB takes statements of 16 MB unless told otherwise.
"""
MOST_DETAILED = 10_000_000
"""Members of all rounds of all ensembles in detail, and ten more for each round's row: half a
gigabyte of the run's memory.
"""

Draw = Callable[[Board, Searched, Sequence[Judged], Context], tuple[Picture, ...]]


IGNORED = ("model_group",)
SCORES_ROWS = False


class Parameters(BatchParameters):
    """batch_param of an ensemble batch."""

    method: Literal["vote", "all", "mean", "greedy", "weighted", "stack"] = Field(
        "vote", description="the batch's answer, which predict uses; all are reported"
    )
    ensembles: int = Field(1_000_000, ge=1, le=10**12, description="how many are tried")
    members: int = Field(
        30, ge=1, le=MOST_VOTERS, description="models that vote in a round; at most all of the list"
    )
    rounds: int = Field(
        20,
        ge=1,
        le=ROUNDS,
        description="votes on a row, each of newly drawn models; rounds x members at most "
        f"{MOST_VOTERS}",
    )
    round_votes: int | None = Field(
        None, ge=1, description="votes that make a round 1; default: more than half of members"
    )
    final_votes: int | None = Field(
        None, ge=1, description="rounds that make a row 1; default: more than half of rounds"
    )
    seed: int | None = Field(None, ge=0, lt=SEEDS, description="default: randomState")
    metric: VoteMetric = Field(
        "f1_score", description="ranks ensembles and chooses thresholds, on valid"
    )
    keep: Literal["all"] | Annotated[int, Field(ge=1, le=MOST_KEPT)] = Field(
        1000,
        description=f"how many of the best are stored: 1 to {MOST_KEPT}, or "
        f'"all" of at most {MOST_EVERY}',
    )
    detail: int = Field(
        10,
        ge=0,
        le=MOST_DETAILS,
        description="how many of the best have their members stored; detail x rounds x "
        f"(members + 10) at most {MOST_DETAILED}",
    )

    def determining(self) -> dict[str, Any]:
        """The keys, defaults included, on which figures depend: batch_param may be another one
        later.
        """
        others = {"time_limit", "on_model_error", "keep", "detail"}
        return self.model_dump(by_alias=True, exclude=others)

    @property
    def rule(self) -> Rule:
        return Rule.majority(self.members, self.rounds, self.round_votes, self.final_votes)


def check(connection: Connection, batch: Batch, parameters: Parameters) -> tuple[str, ...]:
    """Raise what a run would end with before it reads scores."""
    _require_space(parameters)
    candidate_id = list_of(connection, batch)
    parameters.rule.check(len(candidates.names(connection, candidate_id)))
    with suppress(ParentNotReady):  # it is tried again
        return repeated(usable(connection, batch).models)
    return ()


def run(batch: Batch, parameters: Parameters, context: Context) -> str:
    """Search, compare, report; ranges that an earlier run finished are not tried again."""
    _require_space(parameters)
    deadline = parameters.deadline()
    chosen = context.read(lambda connection: usable(connection, batch))
    parameters.rule.check(len(chosen.models))
    board = assemble(chosen, context)
    # The baselines do not depend on the search, so they are learned while it runs.
    with ThreadPoolExecutor(1, "baselines") as pool:
        learning = pool.submit(baselines, board, parameters.metric)
        searched = searching.search(board, _order(parameters, deadline), context)
        context.report(0.99, f"{counted(searched.ensembles, 'ensemble')} tried; learning baselines")
        (learned,) = awaited([learning])
    context.report(0.99, "comparing methods")
    judged = methods.judge(
        board,
        searched,
        learned,
        answer=parameters.method,
        bootstrap_seed=parameters.random_state,
    )
    report = _report(board, searched, judged, parameters, context)
    context.report(0.99, "writing the results")
    ranked = (
        every_row(searched, context)
        if searched.order.all_counts
        else best_rows(searched, int(parameters.keep))
    )
    _write(report, ranked, context)
    searching.forget(context)
    return "; ".join([_summary(searched, judged, parameters), *repeated(chosen.models)])


def _write(report: EnsembleReport, ranked: Iterable[pa.Table], context: Context) -> None:
    """Write in pieces, because all of SQLite has one write lock; last comes what says it is done.

    A piece is computed before its transaction begins.
    """
    batch_id = context.claim.batch_id
    while context.commit_many(partial(ensembles.forget_report, batch_id=batch_id)):
        pass
    for rows in ranked:
        context.commit_many(partial(ensembles.put_ranked, batch_id=batch_id, ranked=rows))
    context.commit_many(partial(ensembles.put_report, batch_id=batch_id, report=report))


def _require_space(parameters: Parameters) -> None:
    if parameters.keep == "all" and parameters.ensembles > MOST_EVERY:
        raise BadParameter(
            f'batch_param: keep: "all" is for at most {MOST_EVERY} ensembles, which are twice as '
            f"many rows; {parameters.ensembles} are asked for"
        )
    voters = parameters.members * parameters.rounds
    if voters > MOST_VOTERS:
        raise BadParameter(
            f"batch_param: rounds: members times rounds is {voters}; it can be at most "
            f"{MOST_VOTERS}: with members {parameters.members}, rounds at most "
            f"{MOST_VOTERS // parameters.members}"
        )
    most = MOST_DETAILED // (parameters.rounds * (parameters.members + 10))
    if parameters.detail > most:
        raise BadParameter(
            f"batch_param: detail: with members {parameters.members} and rounds "
            f"{parameters.rounds} it can be at most {most}; it is {parameters.detail}"
        )


def _order(parameters: Parameters, deadline: float | None) -> Order:
    all_counts = parameters.keep == "all"
    kept = 0 if parameters.keep == "all" else parameters.keep
    seed = parameters.random_state if parameters.seed is None else parameters.seed
    search = Search(
        rule=parameters.rule,
        seed=seed,
        metric=parameters.metric,
        keep=max(kept, parameters.detail, BEST),
    )
    return Order(
        search=search, ensembles=parameters.ensembles, all_counts=all_counts, deadline=deadline
    )


def _report(
    board: Board,
    searched: Searched,
    judged: tuple[Judged, ...],
    parameters: Parameters,
    context: Context,
) -> EnsembleReport:
    # By name, so that no other batch's process takes the drawing library.
    draw: Draw = plugins.load("pipeline.ensembles.pictures").draw
    shown = [int(number) for number in searched.best.numbers[: parameters.detail]]
    return EnsembleReport(
        members=[
            Member(
                position=position,
                model_batch_id=model.batch_id,
                model_no=model.model_no,
                model_sub_no=model.model_sub_no,
                model_id=model.model_id,
                threshold=model.threshold,
                sha256=model.sha256,
            )
            for position, model in enumerate(board.models)
        ],
        details=details(searched.order.search, shown, board.names),
        methods=methods.rows(
            judged, batch_param=parameters.determining(), versions=dict(provenance())
        ),
        bins=bins(searched),
        pictures=draw(board, searched, judged, context),
    )


def _summary(searched: Searched, judged: tuple[Judged, ...], parameters: Parameters) -> str:
    answer = next(each for each in judged if each.chosen)
    single = next(each for each in judged if each.method == methods.BASE)
    metric = parameters.metric
    low, high = map(_number, answer.interval or (None, None))
    models = counted(searched.parts[0].models, "model")
    tried = f"{counted(searched.ensembles, 'ensemble')} of {models}"
    if searched.ensembles < parameters.ensembles:
        tried += f" ({parameters.ensembles:,} were asked for, timeLimit came first)"
    return (
        f"{tried}; {answer.method}: {metric} {_number(answer.value('valid'))} on valid, "
        f"{_number(answer.value('test'))} on test "
        f"({low} to {high}); "
        f"best single model: {_number(single.value('test'))} on test"
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
