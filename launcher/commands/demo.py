"""The whole way once: data, models, ensembles, results."""

import time
from pathlib import Path
from typing import Annotated

import typer

from configs.settings import PREFIX, SECRETS
from launcher.terminal import demo_steps, method_table, model_table
from launcher.terminal.console import progress, show
from launcher.terminal.demo_launcher import Launcher, launcher, wait
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say
from launcher.terminal.other_shell import command_line, needed_first
from launcher.terminal.session import Session, session
from launcher.terminal.statements import submit
from pipeline import datasets
from pipeline.roles import Choices
from storage import leaderboard
from storage.migrate import upgrade
from storage.records import Dataset

app = new_app()

_FOLDER = Path("var/demo")
_METRIC = "auc"


@app.command(
    epilog=example(
        "deepcredit demo",
        "deepcredit demo --csv loans.csv --target arrears --positive yes --id loan_no",
    )
)
def demo(
    ctx: typer.Context,
    csv: Annotated[
        Path | None, typer.Option(help="Your own CSV or Parquet file.", metavar="FILE")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.", metavar="COL")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Value of the target that means 1.", metavar="VALUE")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column that names rows.", metavar="COL")
    ] = None,
    rows: Annotated[
        int, typer.Option(min=300, help="How many made-up applicants.", metavar="N")
    ] = 5000,
) -> None:
    """Load data, train, predict, search ensembles and show what was found, in a few minutes.

    Uses the database and model store of the settings; without settings, files below var/. Its
    batches have a queue of their own, demo; it runs no others.
    """
    if (csv is None) != (target is None):
        raise typer.BadParameter("--csv and --target go together", param_hint="--csv")
    started = time.monotonic()
    opened = session(ctx)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    own = csv and demo_steps.OwnData(
        path=csv, choices=Choices(target=target, positive=positive, id_column=id_column)
    )
    group = own.group if own else demo_steps.DATA_GROUP
    say(f"Data set {group}, models of group {demo_steps.MODEL_GROUP} and their batches go")
    say(f"   into the database {opened.database}")
    say(f"   and the model store {opened.settings.store_url}")
    _step("1. Tables")
    upgrade(opened.engine, lambda line: say(f"   {line}"))
    _step("2. Data")
    dataset = _data(opened, own or None, rows)
    _step("3. Models")
    variants = demo_steps.put_models(opened, _FOLDER)
    say(f"   {_FOLDER}/models.toml holds group {demo_steps.MODEL_GROUP}: {variants} variants")
    _step("4. Batches: these statements are all that an operator does")
    trained, predicted = _submit(opened, dataset)
    command = f"deepcredit launcher {demo_steps.SERVER} --queue {demo_steps.QUEUE}"
    _step(f"5. A launcher claims what waits ({command})")
    with launcher(opened, demo_steps.SERVER, demo_steps.QUEUE) as running:
        for number in (trained, predicted):
            _await(opened, running, number)
        same, models = demo_steps.equal_figures(opened, trained, predicted)
        say(f"   {same} of {models} models, stored and loaded again, gave the very same test AUC")
        _step("6. An ensemble batch over these models")
        searched = _search(opened, trained)
        _await(opened, running, searched)
    _step("7. What was found; test played no part in any choice")
    _leaderboard(opened, trained)
    _methods(opened, searched)
    _next(opened, dataset, trained, searched, time.monotonic() - started)


def _data(opened: Session, own: demo_steps.OwnData | None, rows: int) -> Dataset:
    dataset = None if own else demo_steps.registered_before(opened, rows)
    if dataset is None:
        source = own or demo_steps.made_up_applicants(_FOLDER, rows)
        with progress(f"   loading {source.path}") as bar:
            dataset = datasets.load_file(
                opened.engine,
                source.path,
                group=source.group,
                choices=source.choices,
                progress=bar,
                tell=lambda line: say(f"   note: {line}"),
            )
    features = dataset.columns_of("feature")
    missing = f", {dataset.positive_rate:.1%} positive" if dataset.positive_rate else ""
    say(f"   {dataset.name}: {dataset.n_rows} rows, {len(features)} features{missing}")
    return dataset


def _submit(opened: Session, dataset: Dataset) -> tuple[int, int]:
    train = demo_steps.statement(
        opened,
        batch_desc="demo: training",
        batch_param='{"testSize": "0.3", "threshold": {"metric": "f1_score"}}',
        mode="train",
        dataset_group=dataset.dataset_group,
        dataset_version=dataset.dataset_version,
        model_group=demo_steps.MODEL_GROUP,
        state="I",
    )
    trained = _insert(opened, train)
    predict = demo_steps.statement(
        opened,
        batch_desc="demo: 예측 (prediction)",
        train_batch_id=trained,
        mode="predict",
        dataset_group=dataset.dataset_group,
        dataset_version=dataset.dataset_version,
        state="I",
    )
    return trained, _insert(opened, predict)


def _insert(opened: Session, sql: str) -> int:
    number = submit(opened, sql)
    say("\n".join(f"   {line}" for line in f"{sql};\n-- batch_id {number}".splitlines()))
    return number


def _search(opened: Session, trained: int) -> int:
    listing = demo_steps.candidates(opened, trained)
    submit(opened, listing)
    say("\n".join(f"   {line}" for line in f"{listing};".splitlines()))
    return _insert(
        opened,
        demo_steps.statement(
            opened,
            batch_desc="demo: 1,000,000 ensembles",
            batch_param=f'{{"members": {demo_steps.MEMBERS}}}',
            mode="ensemble",
            candidate_id=f"{demo_steps.CANDIDATES}{trained}",
            state="I",
        ),
    )


def _await(opened: Session, running: Launcher, number: int) -> None:
    with progress(f"   batch {number}") as bar:
        ended = wait(opened, running, number, bar)
    say(f"   batch {number} ({ended.mode}) completed: {ended.progress_note}")


def _leaderboard(opened: Session, trained: int) -> None:
    say(f"   {command_line(opened)} leaderboard --batch {trained}")
    say("   (in SQL: view v_leaderboard)\n")
    found = opened.read(
        lambda connection: leaderboard.models(connection, batch_id=trained, metric=_METRIC)
    )
    show(model_table.rows(found), model_table.columns(_METRIC, found))


def _methods(opened: Session, searched: int) -> None:
    say(f"\n   {command_line(opened)} results {searched}")
    say("   (in SQL: views v_method and v_ensemble)\n")
    found = opened.read(lambda connection: leaderboard.methods(connection, searched))
    columns = method_table.columns(found[0]["metric"])
    show(method_table.rows(found), columns, title=method_table.TITLE)


def _next(opened: Session, dataset: Dataset, trained: int, searched: int, seconds: float) -> None:
    say(f"\nDone in {seconds:.0f} s. What to try next:")
    if lines := needed_first(opened):
        say("\n".join(f"  {line}" for line in lines) + "\n")
    command = command_line(opened)
    hints = (
        (f"results {trained}", "figures of every model"),
        (f"results {searched}", "the best ensembles"),
        (f"ensemble pictures {searched}", "where their pictures are"),
        ("batch list", "the batches, in words"),
        (f"leaderboard --dataset {dataset.name}", "all models of these data"),
        ("demo --help", "with a file of yours"),
        ("doctor", "is all in order"),
    )
    width = max(len(words) for words, _ in hints)
    for words, what in hints:
        say(f"  {command} {words:<{width}}  # {what}")
    secret = [PREFIX + name.upper() for name in SECRETS if getattr(opened.settings, name)]
    if secret:
        say(f"In another shell set {' and '.join(secret)} first, as here.")
    say("docs/operators.md starts with the SQL.")


def _step(title: str) -> None:
    say(f"\n{title}")
