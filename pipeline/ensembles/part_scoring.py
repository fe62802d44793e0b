"""What a worker does to score parts of a matrix by one model, for ensembles: no metrics."""

from dataclasses import dataclass

from models import demand, devices, kind
from pipeline import placing
from pipeline.workplace import workplace
from storage import arrays
from storage.artifacts.port import Stored
from storage.records import ModelName, TrainedModel, written


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask(placing.Task):
    """One model to apply. `parts`: name and number of rows, in the order of the matrix's rows."""

    name: ModelName
    model_id: str
    model: Stored
    matrix: Stored
    parts: tuple[tuple[str, int], ...]
    uri: str

    @property
    def label(self) -> str:
        return written(self.name)


def task_of(
    model: TrainedModel,
    matrix: Stored,
    parts: tuple[tuple[str, int], ...],
    *,
    settings: str,
    uri: str,
) -> PartTask:
    return PartTask(
        settings=settings,
        name=model.name,
        model_id=model.model_id,
        model=Stored(uri=model.uri, sha256=model.sha256, bytes=model.bytes),
        matrix=matrix,
        parts=parts,
        uri=uri,
        need=placing.need_of(
            demand.of_scoring(
                device=model.device,
                matrix_bytes=matrix.bytes,
                model_bytes=model.bytes,
            )
        ),
    )


def score_parts(task: PartTask) -> Stored:
    """Scores of each part by its name. Each is scored by itself, as in training: the last bit of
    a matrix product may depend on its height.
    """
    place = workplace(task.settings)
    matrix = arrays.open_matrix(place.fetch(task.matrix))
    library = kind.estimators(task.model_id)
    device = devices.best(library.CARD) if task.need.gpu else "cpu"
    named, start = {}, 0
    with devices.minding_memory(library.CARD):
        estimator = library.load(place.fetch(task.model), device=device)
        for name, rows in task.parts:
            named[name] = kind.scores_of(estimator, matrix[start : start + rows])
            start += rows
    with place.folder() as folder:
        file = folder / "scores"
        arrays.save(file, named)
        return place.put(task.uri, file)
