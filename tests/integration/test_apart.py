"""Models of a large matrix on a real worker, which does not compute them itself."""

from contextlib import closing

import pytest

from configs.settings import Settings
from launcher.cluster.connection import connect
from launcher.service.clusters import EmbeddedCluster
from models import demand
from pipeline.executor import Inline
from storage.schema import dc_batch_result, dc_model
from tests import tasks
from tests.lab import Lab

MODELS = [
    ("ML-XGB", '{"n_estimators": 5, "grid": {"max_depth": [1, 2]}}'),
    ("ML-RF", '{"n_estimators": 5, "resampling": "smote"}'),
    ("DL-DNN", '{"max_epochs": 2, "batch_size": 64, "hidden_units": [8]}'),
]
OF_A_RUN = ("fit_seconds", "predict_seconds", "seconds", "uri", "scores_uri", "preprocessor_uri")


@pytest.fixture
def executor(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", workers=1)
    with closing(EmbeddedCluster(settings)) as cluster:
        there = cluster.scheduler()
        with closing(connect(there.address, there.certificates, remote=False)) as executor:
            yield executor


@pytest.mark.slow
def test_they_are_the_same_as_if_it_had_and_it_stays_without_their_libraries(
    sqlite_settings, tmp_path, monkeypatch, executor
):
    lab = Lab(sqlite_settings, tmp_path)
    lab.load_applicants()
    lab.load_applicants("DATA002", seed=9)
    lab.models(*((number, *each) for number, each in enumerate(MODELS, start=1)))
    lab.list_models("C001", [(1, 1, 1), (1, 2, 1), (1, 3, 1)])

    def run():
        trained = lab.train(dataset_group="DATA001")
        applied = lab.predict(trained, dataset_group="DATA002", dataset_version=1)
        return (
            lab.rows(dc_model, trained, *OF_A_RUN),
            lab.rows(dc_batch_result, trained, *OF_A_RUN),
            lab.rows(dc_batch_result, applied, *OF_A_RUN),
        )

    inline = run()
    monkeypatch.setattr(demand, "_LARGE_BYTES", 0)
    lab.executor = executor
    apart = run()
    [imported] = executor.run(tasks.had_imported, ["models.estimators.ml_xgb"])
    lab.executor = Inline()
    lab.engine.dispose()

    assert list(map(len, apart)) == [4, 8, 4]
    assert apart == inline
    assert imported.value is False
