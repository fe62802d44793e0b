"""What batches leave behind: splits, trained models, and their metrics and bands by split.

Writers call these inside a transaction that already holds the batch (`claims.hold`), so that a run
which lost its batch writes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, fields

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from configs.errors import BadData, NotFound
from storage.columns import error_columns
from storage.metadata import MODEL_KEY, same_model
from storage.records import ModelKey, Result, ScoresFile, Split, TrainedModel
from storage.schema import dc_batch, dc_batch_result, dc_model, dc_score_band, dc_split

_KEY = (*MODEL_KEY, "split")
_RESULT = tuple(field.name for field in fields(Result) if field.name not in ("metrics", "bands"))
_SCORES = ("model_no", "model_sub_no", "split", "threshold", "scores_uri", "scores_sha256")
_SHOWN = 10


def _delete(table: Table) -> Delete:
    return delete(table).where(*(table.c[name] == bindparam(name) for name in MODEL_KEY))


# Written once: to put them together takes longer than to execute them, and every model needs them.
_OF_MODELS = (dc_model, dc_batch_result, dc_score_band)
_PUT_MODEL, _PUT_RESULT, _PUT_BAND = map(insert, _OF_MODELS)
_DELETE_MODEL = {table.name: _delete(table) for table in _OF_MODELS}


def put_split(connection: Connection, split: Split) -> None:
    """Register a split; the same split registered again changes nothing.

    Raises:
        BadData: the same id stands for other rows or labels.
    """
    query = select(dc_split.c.sha256).where(dc_split.c.split_id == split.split_id)
    known = connection.scalar(query)
    if known is None:
        try:
            connection.execute(insert(dc_split).values(asdict(split)))
        except IntegrityError:  # another batch was faster
            known = connection.scalar(query)
        else:
            known = split.sha256
    if known != split.sha256:
        raise BadData(
            f"split {split.split_id[:12]} is in dc_split with other rows or labels (file {known}, "
            f"now {split.sha256}); delete that row and what was trained on it"
        )


def read_split(connection: Connection, split_id: str) -> Split:
    query = select(dc_split).where(dc_split.c.split_id == split_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"split {split_id[:12]} is not in dc_split; train its batch again")
    return Split.from_row(row)


def put_model(connection: Connection, model: TrainedModel, results: Sequence[Result]) -> None:
    """Replace a model of a batch, its metrics and its bands by those of this run."""
    _delete_model(connection, dc_model, model.batch_id, model.key)
    connection.execute(_PUT_MODEL, asdict(model))
    put_results(connection, results)


def put_failure(connection: Connection, failures: Sequence[Result]) -> None:
    """Record that a model failed, one row a split; what an earlier run left of it goes."""
    for batch_id, key in {(row.batch_id, row.key) for row in failures}:
        _delete_model(connection, dc_model, batch_id, key)
    put_results(connection, failures)


def put_results(connection: Connection, results: Sequence[Result]) -> None:
    """Replace metrics and bands of models, one row a split; all of them measured, or none."""
    for batch_id, key in {(row.batch_id, row.key) for row in results}:
        for table in (dc_batch_result, dc_score_band):
            _delete_model(connection, table, batch_id, key)
    rows, bands = [], []
    for result in results:
        columns = {name: getattr(result, name) for name in _RESULT}
        error = error_columns(result.error_class, result.error_text)
        rows.append(columns | error | {**result.metrics})
        part = {name: columns[name] for name in _KEY}
        bands += [part | {**band} for band in result.bands]
    connection.execute(_PUT_RESULT, rows)
    if bands:
        connection.execute(_PUT_BAND, bands)


def keep_trained(
    connection: Connection, batch_id: int, wanted: Mapping[ModelKey, str], files: AbstractSet[str]
) -> set[ModelKey]:
    """As `keep_matching`, of a train batch: the model itself must be there too."""
    there = {
        model.key
        for model in models(connection, batch_id)
        if {model.uri, model.scores_uri} <= files
    }
    wanted = {key: fingerprint for key, fingerprint in wanted.items() if key in there}
    return keep_matching(connection, batch_id, wanted, files, rows_each=2)


def keep_matching(
    connection: Connection,
    batch_id: int,
    wanted: Mapping[ModelKey, str],
    files: AbstractSet[str],
    *,
    rows_each: int = 1,
) -> set[ModelKey]:
    """Drop what earlier runs of a batch left, except models whose fingerprint is the wanted one,
    whose scores are among `files` (those in the store), and which have all their `rows_each`
    rows of metrics, one for each split.

    Returns the keys of the models that stay: they need not be done again.
    """
    table = dc_batch_result.c
    rows = connection.execute(
        select(
            table.model_no, table.model_sub_no, table.state, table.fingerprint, table.scores_uri
        ).where(table.batch_id == batch_id)
    )
    matching = Counter(
        (model_no, sub)
        for model_no, sub, state, fingerprint, scores in rows
        if state == "C" and scores in files and wanted.get((model_no, sub)) == fingerprint
    )
    kept = {key for key, number in matching.items() if number == rows_each}
    for stale in _OF_MODELS:
        found = connection.execute(
            select(stale.c.model_no, stale.c.model_sub_no)
            .where(stale.c.batch_id == batch_id)
            .distinct()
        )
        for model_no, sub in found.all():
            if (model_no, sub) not in kept:
                _delete_model(connection, stale, batch_id, (model_no, sub))
    return kept


def put_scores(connection: Connection, model: TrainedModel) -> bool:
    """Name another file of scores for a trained model; False: it is not that model any more."""

    def put(table: Table, *conditions: ColumnElement[bool]) -> bool:
        key = (table.c[name] == getattr(model, name) for name in MODEL_KEY)
        files = {"scores_uri": model.scores_uri, "scores_sha256": model.scores_sha256}
        statement = update(table).where(*key, *conditions).values(files)
        return connection.execute(statement).rowcount > 0

    if not put(dc_model, dc_model.c.sha256 == model.sha256):
        return False
    put(dc_batch_result)
    return True


def models(connection: Connection, batch_id: int) -> tuple[TrainedModel, ...]:
    """The trained models of a batch, by model_no and model_sub_no."""
    rows = connection.execute(
        select(dc_model)
        .where(dc_model.c.batch_id == batch_id)
        .order_by(dc_model.c.model_no, dc_model.c.model_sub_no)
    )
    return tuple(map(TrainedModel.from_row, rows))


def psi(connection: Connection, batch_id: int) -> list[float]:
    """The stability indices of a predict batch's models, where there are some."""
    index = dc_batch_result.c.psi
    query = select(index).where(dc_batch_result.c.batch_id == batch_id, index.is_not(None))
    return list(connection.scalars(query))


def put_psi(
    connection: Connection, batch_id: int, indices: Mapping[ModelKey, float | None]
) -> None:
    """Replace the stability indices of models of a predict batch."""
    result = dc_batch_result.c
    for (model_no, sub), index in indices.items():
        here = (
            result.batch_id == batch_id,
            result.model_no == model_no,
            result.model_sub_no == sub,
        )
        connection.execute(update(dc_batch_result).where(*here).values(psi=index))


def scored(connection: Connection, batch_id: int) -> tuple[ScoresFile, ...]:
    """The scores of a batch's rows, by model_no, model_sub_no and split."""
    result, model, split = dc_batch_result.c, dc_model.c, dc_split.c
    rows = connection.execute(
        select(
            *(result[name] for name in _SCORES),
            func.coalesce(result.content_sha256, split.content_sha256).label("content_sha256"),
            split.uri.label("split_uri"),
            split.sha256.label("split_sha256"),
            split.dataset_group,
            split.dataset_version,
        )
        .outerjoin(dc_model, same_model(dc_batch_result, dc_model))
        .outerjoin(dc_split, split.split_id == func.coalesce(result.split_id, model.split_id))
        .where(result.batch_id == batch_id, result.state == "C", result.scores_uri.is_not(None))
        .order_by(result.model_no, result.model_sub_no, result.split)
    )
    return tuple(map(ScoresFile.from_row, rows))


def _delete_model(connection: Connection, table: Table, batch_id: int, key: ModelKey) -> None:
    named = zip(MODEL_KEY, (batch_id, *key), strict=True)
    connection.execute(_DELETE_MODEL[table.name], dict(named))


def require_train(connection: Connection, batch_id: int) -> None:
    """
    Raises:
        NotFound: there is no such batch, or it trains no models; the message says which do.
    """
    mode = select(dc_batch.c.mode).where(dc_batch.c.batch_id == batch_id)
    found = connection.execute(mode).one_or_none()
    if found is not None and found.mode == "train":
        return
    what = (
        "does not exist"
        if found is None
        else f"is of mode {found.mode or 'NULL'}; name a train batch"
    )
    newest = select(dc_model.c.batch_id).distinct().order_by(dc_model.c.batch_id.desc())
    trained = [str(number) for number in connection.scalars(newest.limit(_SHOWN))]
    which = f"the newest with models: {', '.join(trained)}" if trained else "none has models yet"
    raise NotFound(f"batch {batch_id} {what}; {which}")
