"""The models that an ensemble batch draws from: found, and refused where they cannot be mixed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from configs.errors import BadData, NotFound, ParentNotReady
from configs.wording import counted
from pipeline.subjects import require_target
from storage import batches, candidates, datasets, results
from storage.records import Batch, Split, TrainedModel, written

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Models of one split, in the order in which members are numbered."""

    models: tuple[TrainedModel, ...]
    split: Split


def usable(connection: Connection, batch: Batch) -> Candidates:
    """The models of the row's candidate_id.

    Raises:
        NotFound: no such list, or it names a model that was never trained.
        ParentNotReady: a batch whose models it names has not come to its end.
        BadData: the models were trained on different splits or targets, or on a data set that is
            not the one the row names.
    """
    candidate_id = list_of(connection, batch)
    models = trained(connection, candidate_id)
    _require_one_split(connection, candidate_id, models)
    split = results.read_split(connection, models[0].split_id)
    _require_dataset(connection, batch, split)
    return Candidates(models=models, split=split)


def doubts(connection: Connection, candidate_id: str) -> tuple[str, ...]:
    """Why no ensemble can use the models of a list that are trained, if that is so; else which of
    them are there more than once.
    """
    there = candidates.trained(connection, candidates.names(connection, candidate_id))
    models = list(there.values())
    try:
        _require_one_split(connection, candidate_id, models)
    except (BadData, NotFound) as error:
        return (f"{error}; no ensemble can use it like that",)
    return repeated(models)


def repeated(models: Sequence[TrainedModel]) -> tuple[str, ...]:
    """How many models are on a list again under another name, as of a second batch that was asked
    for the same: that is allowed, but they weigh more than others.
    """
    first: dict[tuple[str, str], TrainedModel] = {}
    again = [
        (model, twin)
        for model in models
        if (twin := first.setdefault((model.sha256, model.preprocessor_sha256), model)) is not model
    ]
    if not again:
        return ()
    model, twin = again[0]
    how_many = f"{len(again)} of {counted(len(models), 'model')} equal to others"
    example = f"{written(model.name)} to {written(twin.name)}"
    return (f"{how_many} ({example}), which count twice",)


def list_of(connection: Connection, batch: Batch) -> str:
    """The row's candidate_id. Raises NotFound where it has none, and names the lists there are."""
    if batch.candidate_id is None:
        there = candidates.what_exists(connection)
        raise NotFound(f"an ensemble batch needs candidate_id; {there}")
    return batch.candidate_id


def trained(connection: Connection, candidate_id: str) -> tuple[TrainedModel, ...]:
    """The models of a list.

    Raises:
        NotFound: no such list, or it names a model that was never trained.
        ParentNotReady: a batch whose models it names has not come to its end.
    """
    for number in sorted({name[0] for name in candidates.names(connection, candidate_id)}):
        batch = batches.read(connection, number)
        if batch is not None and not batch.ended:
            raise ParentNotReady(
                f"candidate_id {candidate_id!r} names models of batch {number}, "
                "which is not complete yet"
            )
    return candidates.models(connection, candidate_id)


def _require_one_split(
    connection: Connection, candidate_id: str, models: Sequence[TrainedModel]
) -> None:
    parts = _grouped(models, [model.split_id for model in models])
    if len(parts) <= 1:
        return
    splits = {split_id: results.read_split(connection, split_id) for split_id in parts}
    targets = {split.target for split in splits.values()}
    if len(targets - {None}) > 1:
        why = "and of different targets"
    elif None in targets and len({(s.content_sha256, s.sha256) for s in splits.values()}) == 1:
        # Rows and labels are equal: what a split_id is made of has changed.
        why = "those of an unknown target trained before an upgrade; train their batches again"
    else:
        why = "so that one model's test rows would be another's training rows"
    said = "; ".join(
        f"split {split_id[:12]} of {split.dataset}, target {split.target or 'unknown'}: "
        f"{_some(parts[split_id])}"
        for split_id, split in splits.items()
    )
    raise BadData(
        f"candidate_id {candidate_id!r} mixes models of {len(parts)} splits, {why}; {said}"
    )


def _require_dataset(connection: Connection, batch: Batch, split: Split) -> None:
    """The data set the row names, if any, must be that of the candidates, whatever its name."""
    group = batch.dataset_group or split.dataset_group
    version = split.dataset_version if batch.dataset_version is None else batch.dataset_version
    if f"{group}/{version}" == split.dataset:
        return
    dataset = datasets.read(connection, group, version)
    if dataset.content_sha256 != split.content_sha256:
        raise BadData(
            f"the batch names data set {dataset.name}, but its candidates were trained on "
            f"{split.dataset}; leave dataset_group and dataset_version NULL"
        )
    require_target(dataset, split)


def _grouped(
    models: Sequence[TrainedModel], labels: Sequence[str]
) -> dict[str, list[TrainedModel]]:
    """Models by label, the label of the most models first."""
    order = [label for label, _ in Counter(labels).most_common()]
    return {
        label: [m for m, own in zip(models, labels, strict=True) if own == label] for label in order
    }


def _some(models: Sequence[TrainedModel]) -> str:
    shown = ", ".join(written(model.name) for model in models[:_SHOWN])
    more = len(models) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
