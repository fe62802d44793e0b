"""One model in one run of one batch: what its rows and its files are called."""

import traceback
from dataclasses import asdict, dataclass
from typing import Any

from models.bands import Bands
from models.scores import Metrics
from pipeline import run_files
from pipeline.placing import Task
from storage.records import ModelKey, Result, SplitName


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """Names one model in one run of one batch; every row it writes carries these."""

    batch_id: int
    fence: int
    model_no: int
    model_sub_no: int
    model_id: str

    @property
    def key(self) -> ModelKey:
        return self.model_no, self.model_sub_no

    @property
    def label(self) -> str:
        return f"{self.model_id} {self.model_no}/{self.model_sub_no}"

    def uri(self, folder: str, ending: str) -> str:
        """The uri of a file of this model; `folder` is MODELS or PREDICTIONS of run_files."""
        stem = run_files.of_model(folder, (self.batch_id, *self.key))
        return run_files.of_run(stem, self.fence, ending)

    def success(
        self, split: SplitName, metrics: Metrics | None, bands: Bands, **columns: Any
    ) -> Result:
        return Result(
            **asdict(self),
            split=split,
            state="C",
            n_rows=sum(band.n_rows for band in bands),
            metrics=asdict(metrics) if metrics else {},
            bands=tuple(map(asdict, bands)),
            **columns,
        )

    def failure(self, split: SplitName, error: Exception) -> Result:
        text = "".join(traceback.format_exception(error))
        return Result(
            **asdict(self),
            split=split,
            state="E",
            error_class=type(error).__name__,
            error_text=text,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTask(Task):
    """A task of which rows and files of a model come."""

    run: ModelRun
    fingerprint: str
    """The hash of everything that its results depend on."""

    @property
    def label(self) -> str:
        return self.run.label
