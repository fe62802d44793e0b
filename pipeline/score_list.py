"""Who got which score: a file of scores in the model store, row by row, with the names that the
data set gives its rows.

Row k of a file is the k-th row of its part: of `all`, row k of the data set in canonical order; of
`valid` or `test`, the row whose number the split has in place k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.errors import BadParameter, DatasetChanged, NotFound, WrongState
from configs.meant import some
from models.scores import decide
from pipeline import mode
from pipeline.context import Read
from pipeline.frames import classes_in, rows_of
from storage import arrays, batches, datasets, results
from storage.artifacts.port import Store
from storage.cache import Cache
from storage.records import Batch, Dataset, ModelKey, ScoresFile, SplitName

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreList:
    """The scores of one model or ensemble. `columns`: by name a value a row, all of one length."""

    columns: Mapping[str, Sequence[Any]]
    dataset: Dataset
    split: SplitName


def read_scores(
    batch_id: int,
    model: ModelKey | None,
    split: SplitName | None,
    *,
    read: Read,
    store: Store,
    cache: Cache,
) -> ScoreList:
    """The scores of a batch that has ended; `model` None: it has only one; `split` None: the only
    one, or test.

    Raises:
        NotFound: there is no such batch, mode, model or split.
        BadParameter: it has several models.
        WrongState: it has no scores, or not yet.
        DatasetChanged: the rows that were scored are no longer registered.
        ArtifactMissing, ArtifactDamaged: a file of the store is of no use.
    """
    batch = read(lambda connection: batches.existing(connection, batch_id))
    chosen = choose(batch, read(lambda c: results.scored(c, batch_id)), model, split)
    parent = batch.train_batch_id
    trained = parent and read(lambda connection: batches.read(connection, parent))
    names = [
        (named.dataset_group, named.dataset_version) for named in (batch, trained, chosen) if named
    ]
    dataset = same_rows(batch, chosen, names, read(datasets.listing))
    scores = arrays.load_all(cache.fetch(store, chosen.scores_uri, chosen.scores_sha256))
    numbers = _numbers(batch, chosen, store, cache)
    rows = read(lambda connection: rows_of(connection, dataset))
    columns = identified(dataset, rows, numbers)
    target = columns.pop("target", None)
    columns |= told(chosen, scores)
    if target is not None:
        columns["target"] = target
    return ScoreList(columns=columns, dataset=dataset, split=chosen.split)


def choose(
    batch: Batch,
    scored: Sequence[ScoresFile],
    model: ModelKey | None,
    split: SplitName | None,
) -> ScoresFile:
    """The file that is asked for; raises as `read_scores`."""
    number = batch.batch_id
    try:
        scores_rows = mode.find(batch.mode).SCORES_ROWS
    except NotFound as error:
        raise NotFound(
            f"batch {number} has no scores: {error}; set its mode in dc_batch, then `deepcredit "
            f"batch rerun {number}`"
        ) from error
    if not scores_rows:
        raise WrongState(
            f"batch {number} is of mode {batch.mode}, which scores no rows; name a train batch, or "
            "a predict batch: its train_batch_id may be an ensemble batch"
        )
    if not batch.ended:
        raise WrongState(
            f"batch {number} has not ended yet; `deepcredit batch wait {number}` waits for it"
        )
    if not scored:
        raise WrongState(batch.failure or f"batch {number} has no scores; run it again")
    parts = list(dict.fromkeys(each.split for each in scored))
    part = split or ("test" if "test" in parts else parts[0])
    if part not in parts:
        raise NotFound(f"batch {number} has no scores of {part}, only of {' and '.join(parts)}")
    of_part = {(each.model_no, each.model_sub_no): each for each in scored if each.split == part}
    names = [f"{no}/{sub}" for no, sub in of_part]
    if model is None and len(of_part) > 1:
        raise BadParameter(
            f"batch {number} has scores of {len(of_part)} models, name one with --model: "
            f"{some(names, _SHOWN)}"
        )
    key = model or next(iter(of_part))
    if key not in of_part:
        raise NotFound(
            f"batch {number} has no scores of model {key[0]}/{key[1]}; there are: "
            f"{some(names, _SHOWN)}"
        )
    return of_part[key]


def same_rows(
    batch: Batch,
    chosen: ScoresFile,
    names: Sequence[tuple[str | None, int | None]],
    known: Sequence[Dataset],
) -> Dataset:
    """The data set whose rows were scored: the first of `names` that has them, else another."""
    if chosen.content_sha256 is None:
        raise WrongState(
            f"batch {batch.batch_id} is of a version that did not keep which rows it scored; "
            f"`deepcredit batch rerun {batch.batch_id}` lets it run again"
        )
    same = [dataset for dataset in known if dataset.content_sha256 == chosen.content_sha256]
    if not same:
        raise DatasetChanged(
            f"no data set has the rows that batch {batch.batch_id} scored (content "
            f"{chosen.content_sha256[:12]}) any more; load them again, as a version of their own, "
            "or let a new predict batch score those there are"
        )
    keys = [(dataset.dataset_group, dataset.dataset_version) for dataset in same]
    return same[next((keys.index(name) for name in names if name in keys), 0)]


def identified(
    dataset: Dataset, rows: pa.Table, numbers: NDArray[np.int64] | None
) -> dict[str, list[Any]]:
    """The canonical rows of these numbers (None: all): their `id`, or `row_no` from 1 if the data
    set has no such column, and `target`, as 0 and 1, if it has one.
    """
    if numbers is None:
        numbers = np.arange(rows.num_rows)
    columns: dict[str, list[Any]]
    if dataset.id_column is None:
        columns = {"row_no": (numbers + 1).tolist()}
    else:
        columns = {"id": rows.column(dataset.id_column).take(pa.array(numbers)).to_pylist()}
    y, _ = classes_in(dataset, rows)
    if y is not None:
        columns["target"] = y[numbers].tolist()
    return columns


def told(chosen: ScoresFile, scores: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """What a file says of its rows: `score`, `threshold` and `called`; of an ensemble also `mean`,
    and `votes` where rounds or models were counted.

    Scores are float32, and so is the threshold when it is compared with them: both are written as
    the shortest decimals that name them, which compare in the same way.
    """
    score = scores[chosen.split]
    called = scores.get("called")
    if called is None:
        called = decide(score, chosen.threshold)
    columns = {
        "score": _decimals(score),
        "threshold": _decimals(np.full(len(score), chosen.threshold, np.float32)),
        "called": called.astype(int).tolist(),
    }
    if "mean" in scores:
        columns["mean"] = _decimals(scores["mean"])
    if "ones" in scores:
        columns["votes"] = scores["ones"].tolist()
    return columns


def _decimals(values: NDArray[np.float32]) -> list[float]:
    return [float(text) for text in values.astype(str)]


def _numbers(
    batch: Batch, chosen: ScoresFile, store: Store, cache: Cache
) -> NDArray[np.int64] | None:
    """The numbers of the rows of a part, from 0; None: all."""
    if chosen.split == "all":
        return None
    if chosen.split_uri is None or chosen.split_sha256 is None:
        raise NotFound(
            f"the split of model {chosen.model_no}/{chosen.model_sub_no} of batch {batch.batch_id} "
            "is not in dc_split; run again the batch that trained it"
        )
    file = cache.fetch(store, chosen.split_uri, chosen.split_sha256)
    return arrays.load(file, f"rows_{chosen.split}")[0]
