"""Add batches, look at them, cancel, retry and wait for them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from configs.errors import BadParameter, NotFound, WrongState
from configs.meant import some
from launcher.service import kept_back
from launcher.terminal.batch_table import COLUMNS, as_listed
from launcher.terminal.console import show, show_beside
from launcher.terminal.durations import in_utc
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.following import follow
from launcher.terminal.lines import complain, note, remark, say
from launcher.terminal.naming import (
    MOST_ROWS,
    BatchId,
    dataset_name,
    parameters,
    queue_name,
    tag_name,
)
from launcher.terminal.session import session
from pipeline import mode as modes
from storage import batches, housekeeping, listing, queues, servers
from storage.housekeeping import PRUNE_ROWS
from storage.records import Batch, State

app = new_app()

_FIRST, _LAST = -(2**15), 2**15 - 1  # of priorities, as the column has them


@app.callback()
def batch() -> None:
    """Add batches, look at them, cancel, retry and wait for them: the same as SQL on dc_batch."""


@app.command(
    epilog=example(
        "deepcredit batch add --mode train --dataset DATA001/1 --model-group M100 \\",
        "    --param testSize=0.3 --desc 'credit model training'",
        "deepcredit batch add --mode predict --train-batch 123 --dataset DATA001/1",
    )
)
def add(
    ctx: typer.Context,
    mode: Annotated[str, typer.Option(help="train, predict, ...: what the batch does.")],
    dataset: Annotated[
        str | None, typer.Option(help="Data set, such as DATA001/1.", metavar="G/N")
    ] = None,
    model_group: Annotated[str | None, typer.Option(help="Model group to train.")] = None,
    train_batch: Annotated[
        int | None, typer.Option(help="Train or ensemble batch to predict with.", metavar="ID")
    ] = None,
    candidate: Annotated[str | None, typer.Option(help="Candidate list of an ensemble.")] = None,
    desc: Annotated[str | None, typer.Option(help="A few words, for people.")] = None,
    memo: Annotated[str | None, typer.Option(help="More words, for people.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="A key of batch_param; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    param_json: Annotated[
        str | None, typer.Option("--json", help="The whole batch_param.", metavar="JSON")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=_FIRST, max=_LAST, help="Lower is sooner (100).", metavar="N"),
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Queue that serves it (default).")] = None,
    need_tag: Annotated[str | None, typer.Option(help="Only launchers with this tag.")] = None,
    need_mem_mb: Annotated[
        int | None, typer.Option(min=0, help="Only where so much memory is free.", metavar="MB")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(min=1, help="Tries in all (3).", metavar="N")
    ] = None,
    concurrency_key: Annotated[
        str | None, typer.Option(help="Of batches with one key, one runs at a time.")
    ] = None,
) -> None:
    """Insert a row into dc_batch and print its batch_id.

    What its run would end with at once is an error already here: an unknown data set, model group,
    candidate list, batch or parameter.
    """
    try:
        modes.find(mode)
    except NotFound as error:
        raise BadParameter(str(error)) from error
    group, version = dataset_name(dataset) if dataset else (None, None)
    columns: dict[str, Any] = {
        "mode": mode,
        "dataset_group": group,
        "dataset_version": version,
        "model_group": model_group,
        "train_batch_id": train_batch,
        "candidate_id": candidate,
        "batch_desc": desc,
        "batch_memo": memo,
        "batch_param": parameters(param or [], param_json),
        "priority": priority,
        "queue": queue if queue is None else queue_name(queue),
        "need_tag": need_tag if need_tag is None else tag_name(need_tag),
        "need_mem_mb": need_mem_mb,
        "max_attempts": max_attempts,
        "concurrency_key": concurrency_key,
    }
    given = {name: value for name, value in columns.items() if value is not None}

    def work(connection: Connection) -> tuple[int, list[str]]:
        number = batches.add(connection, **given)
        return number, _check(connection, number)  # an error takes the row back

    number, doubts = session(ctx).write(work)
    for doubt in doubts:
        note(doubt)
    say(str(number))


@app.command("list", epilog=example("deepcredit batch list --state E --limit 10"))
def list_(
    ctx: typer.Context,
    state: Annotated[
        State | None, typer.Option(help="Only I (waiting), U (running), C or E.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="How many.", metavar="N")] = 20,
    form: FormatOption = Format.TABLE,
) -> None:
    """List batches, the newest first. Ages count from when a batch was added. Long notes are cut;
    `batch show` has them whole.
    """
    opened = session(ctx)
    rows = opened.read(partial(listing.batches, state=state, limit=limit))
    if form is not Format.TABLE:
        export(listing.NAMES, rows, form)
        return
    where = f"database {opened.database}"
    show([*map(as_listed, rows)], COLUMNS, title=where, empty=f"no batch in {where}")


@app.command("show", epilog=example("deepcredit batch show 123"))
def show_(
    ctx: typer.Context,
    batch_id: BatchId,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a batch whole: its row, what it waits for, its last error."""

    def read(connection: Connection) -> tuple[Batch, dict[str, Any]]:
        there = batches.existing(connection, batch_id)
        return there, asdict(there) | listing.beside(connection, batch_id)

    found, columns = session(ctx).read(read)
    if form is not Format.TABLE:
        export([*columns], [columns], form)
        return
    width = max(map(len, columns))
    for name, value in columns.items():
        if value is not None:
            said = in_utc(value) if isinstance(value, datetime) else str(value)
            show_beside(f"{name:<{width}}  ", said)
    if found.failure:
        when = "to run it all the same" if found.cancelled else "once that is mended"
        say(f"\n{when}: deepcredit batch retry {batch_id}")


@app.command(epilog=example("deepcredit batch cancel 123"))
def cancel(ctx: typer.Context, batch_id: BatchId) -> None:
    """Cancel a batch that waits or runs. The launcher that runs it stops it within 15 seconds."""
    opened = session(ctx)
    if not opened.write(lambda connection: batches.cancel(connection, batch_id)):
        say(f"batch {batch_id} had already ended")
    elif opened.read(partial(batches.existing, batch_id=batch_id)).state == "U":
        say(f"batch {batch_id} will be stopped by the launcher that runs it")
    else:
        say(f"batch {batch_id} cancelled")


@app.command(epilog=example("deepcredit batch retry 123"))
def retry(ctx: typer.Context, batch_id: BatchId) -> None:
    """Let a batch in error run again as soon as possible. Finished models are kept.

    What its run would end with at once is an error already here, and the batch stays as it is.
    """
    _put_back(ctx, batch_id, batches.retry)


@app.command(epilog=example("deepcredit batch rerun 123"))
def rerun(ctx: typer.Context, batch_id: BatchId) -> None:
    """Let a batch run again whatever its state. Finished models are kept; one that runs is
    stopped first.

    What its run would end with at once is an error already here, and the batch stays as it is.
    """
    _put_back(ctx, batch_id, batches.rerun)


@app.command(
    epilog=example("deepcredit batch priority 123 10"),
    context_settings={"ignore_unknown_options": True},  # or -5 would be one
)
def priority(
    ctx: typer.Context,
    batch_id: BatchId,
    number: Annotated[
        int,
        typer.Argument(metavar="N", min=_FIRST, max=_LAST, help="Lower is sooner; usual: 100."),
    ],
) -> None:
    """Let a waiting batch run sooner or later than others. Retries come by their time instead."""
    session(ctx).write(lambda connection: batches.set_priority(connection, batch_id, number))
    say(f"batch {batch_id} has priority {number}")


@app.command(epilog=example("deepcredit batch delete 123"))
def delete(
    ctx: typer.Context,
    batch_id: BatchId,
    force: Annotated[
        bool, typer.Option("--force", help="Also if a list or another batch names it.")
    ] = False,
) -> None:
    """Delete a batch with its results and models. One that runs is stopped. Refused while a
    candidate list or another batch names it: predict in train_batch_id, ensemble in its members.

    Its files stay until `deepcredit store check --delete`.
    """
    opened = session(ctx)
    names = opened.write(partial(batches.delete, batch_id=batch_id, force=force))
    say(f"batch {batch_id} is deleted" + (f"; named by {some(names, 20)}" if names else ""))
    ranked = partial(housekeeping.delete_ensembles, batch_id=batch_id, rows=PRUNE_ROWS)
    while opened.write(ranked):
        pass  # stopped here, the rest goes with `db prune`


@app.command(epilog=example("deepcredit batch wait 123 && deepcredit results 123"))
def wait(
    ctx: typer.Context,
    batch_id: BatchId,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Give up after so long.", metavar="SECONDS")
    ] = None,
) -> None:
    """Wait until a batch has ended; exit 0 on C, 1 on E. Ctrl-C leaves the batch running.

    Beside its progress stands what it does, or what it waits for. A database that goes away
    meanwhile is asked again.
    """
    try:
        ended = follow(session(ctx), batch_id, timeout)
    except KeyboardInterrupt:
        remark(f"batch {batch_id} goes on without you")
        raise typer.Exit(130) from None
    if ended is None:
        complain(f"batch {batch_id} has not ended after {timeout:g} s")
        raise typer.Exit(1)
    if ended.state == "E":
        raise WrongState(ended.failure)
    say(f"batch {batch_id} completed" + (f": {ended.progress_note}" if ended.progress_note else ""))


def _put_back(ctx: typer.Context, batch_id: int, lever: Callable[[Connection, int], None]) -> None:
    def work(connection: Connection) -> list[str]:
        lever(connection, batch_id)
        return _check(connection, batch_id)  # an error leaves the row as it was

    for doubt in session(ctx).write(work):
        note(doubt)
    say(f"batch {batch_id} waits to run")


def _check(connection: Connection, batch_id: int) -> list[str]:
    """Raise what the batch would end with at once; return what a person may want otherwise."""
    found = batches.existing(connection, batch_id)
    doubts = [*modes.check(connection, found)]
    if unserved := kept_back.unserved(found.queue, servers.at_work(connection)):
        doubts.append(unserved)
    if found.queue in queues.paused(connection):
        doubts.append(f"queue {found.queue} is paused: deepcredit queue resume {found.queue}")
    return doubts
