"""The demo from its first step to its last, and what it says on the way."""

import time
from pathlib import Path
from textwrap import indent

from configs.settings import PREFIX, SECRETS
from configs.wording import counted
from launcher.demo import steps
from launcher.demo.launcher import Launcher, launcher, wait
from launcher.demo.other_shell import command_line, needed_first
from launcher.demo.statements import submit
from launcher.demo.steps import NAME, QUEUE, Source
from launcher.terminal import model_table
from launcher.terminal.console import progress, show
from launcher.terminal.lines import say
from launcher.terminal.method_table import show_methods
from launcher.terminal.session import Session
from pipeline import datasets
from storage import leaderboard
from storage.migrate import upgrade
from storage.records import Dataset

_FOLDER = Path("var/demo")
_METRIC = "auc"


def run(session: Session, own: Source | None, rows: int) -> None:
    """Go the whole way with one's own data, or with so many made-up applicants.

    Raises:
        DeepCreditError: a step failed; what those before it did stays.
    """
    started = time.monotonic()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    say(f"Data set {own.group if own else NAME}, models of group {NAME} and their batches go")
    say(f"   into the database {session.database}")
    say(f"   and the model store {session.settings.store_url}")
    say("\n1. Tables")
    upgrade(session.engine, _indented)
    say("\n2. Data")
    dataset = _data(session, own, rows)
    say("\n3. Models")
    variants = steps.put_models(session, _FOLDER)
    say(f"   {_FOLDER}/models.toml holds group {NAME}: {counted(variants, 'variant')}")
    say("\n4. Batches: these statements are all that an operator does")
    trained, predicted = _submit(session, dataset)
    say(f"\n5. A launcher claims what waits (deepcredit launcher {NAME} --queue {QUEUE})")
    with launcher(session, NAME, QUEUE) as running:
        for number in (trained, predicted):
            _await(session, running, number)
        same, models = steps.equal_figures(session, trained, predicted)
        of_all = f"{same} of {counted(models, 'model')}"
        say(f"   {of_all}, stored and loaded again, gave the very same test AUC")
        say("\n6. An ensemble batch over these models")
        searched = _search(session, trained)
        _await(session, running, searched)
    say("\n7. What was found; test played no part in any choice")
    _leaderboard(session, trained)
    _methods(session, searched)
    _next(session, dataset, trained, searched, time.monotonic() - started)


def _data(session: Session, own: Source | None, rows: int) -> Dataset:
    dataset = None if own else steps.registered_before(session, rows)
    if dataset is None:
        source = own or steps.made_up_applicants(_FOLDER, rows)
        with progress(f"   loading {source.path}") as bar:
            dataset = datasets.load_file(
                session.engine,
                source.path,
                group=source.group,
                choices=source.choices,
                progress=bar,
                tell=lambda line: _indented(f"note: {line}"),
            )
    features = dataset.columns_of("feature")
    missing = f", {dataset.positive_rate:.1%} positive" if dataset.positive_rate else ""
    size = f"{counted(dataset.n_rows, 'row')}, {counted(len(features), 'feature')}"
    say(f"   {dataset.name}: {size}{missing}")
    return dataset


def _submit(session: Session, dataset: Dataset) -> tuple[int, int]:
    """The batch_ids of a train batch and of one that applies its models."""
    trained = _insert(
        session,
        batch_desc="demo: training",
        batch_param='{"testSize": "0.3", "threshold": {"metric": "f1_score"}}',
        mode="train",
        dataset_group=dataset.dataset_group,
        dataset_version=dataset.dataset_version,
        model_group=NAME,
    )
    predicted = _insert(
        session,
        batch_desc="demo: 예측 (prediction)",
        train_batch_id=trained,
        mode="predict",
        dataset_group=dataset.dataset_group,
        dataset_version=dataset.dataset_version,
    )
    return trained, predicted


def _search(session: Session, trained: int) -> int:
    listing = steps.candidates(session, trained)
    submit(session, listing)
    _indented(f"{listing};")
    return _insert(
        session,
        batch_desc="demo: 1,000,000 ensembles",
        batch_param=f'{{"members": {steps.MEMBERS}}}',
        mode="ensemble",
        candidate_id=steps.list_of(trained),
    )


def _insert(session: Session, **columns: str | int) -> int:
    sql = steps.statement(session, **columns)
    number = submit(session, sql)
    _indented(f"{sql};\n-- batch_id {number}")
    return number


def _await(session: Session, running: Launcher, number: int) -> None:
    with progress(f"   batch {number}") as bar:
        ended = wait(session, running, number, bar)
    say(f"   batch {number} ({ended.mode}) completed: {ended.progress_note}")


def _leaderboard(session: Session, trained: int) -> None:
    say(f"   {command_line(session)} leaderboard --batch {trained}")
    say("   (in SQL: view v_leaderboard)\n")
    found = session.read(
        lambda connection: leaderboard.models(connection, batch_id=trained, metric=_METRIC)
    )
    show(model_table.rows(found), model_table.columns(_METRIC, found))


def _methods(session: Session, searched: int) -> None:
    say(f"\n   {command_line(session)} results {searched}")
    say("   (in SQL: views v_method and v_ensemble)\n")
    show_methods(session.read(lambda connection: leaderboard.methods(connection, searched)))


def _next(session: Session, dataset: Dataset, trained: int, searched: int, seconds: float) -> None:
    say(f"\nDone in {seconds:.0f} s. What to try next:")
    if lines := needed_first(session):
        say(indent("\n".join(lines), "  ") + "\n")
    command = command_line(session)
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
    secret = [PREFIX + name.upper() for name in SECRETS if getattr(session.settings, name)]
    if secret:
        say(f"In another shell set {' and '.join(secret)} first, as here.")
    say("docs/operators.md starts with the SQL.")


def _indented(text: str) -> None:
    say(indent(text, "   "))
