"""What a worker does to score parts of a matrix by one model, for ensembles: no metrics."""

from dataclasses import dataclass

from models import demand
from pipeline import placing
from pipeline.computing import Application, apply, where_due
from pipeline.workplace import workplace
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
    """Scores of each part by its name."""
    place = workplace(task.settings)
    with place.folder() as folder:
        model = place.fetch(task.model)
        files = Application(
            model_id=task.model_id,
            card=task.need.gpu > 0,
            matrix=place.fetch(task.matrix),
            model=model,
            scores=folder / "scores",
            parts=task.parts,
        )
        where_due(apply, files, task.need)
        return place.put(task.uri, files.scores)
