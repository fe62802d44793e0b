"""Stored scores that went missing or were damaged, of models trained for real."""

import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select

from configs.errors import ArtifactMissing, DatasetChanged
from pipeline.ensembles import pictures
from storage import arrays, results
from storage.engine import reading
from storage.schema import (
    dc_batch_method,
    dc_batch_result,
    dc_batch_result_t4,
    dc_dataset,
    dc_model,
)
from tests.lab import Lab

SMALL = {"ensembles": 2000, "members": 3, "rounds": 5}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(sqlite_settings, tmp_path, kept, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: ())

    def train(lab):
        lab.load_applicants()
        lab.train_five()

    return Lab.once_trained(sqlite_settings, tmp_path, kept, train)


def models(lab):
    with reading(lab.engine) as connection:
        return connection.execute(select(dc_model).order_by(dc_model.c.uri)).all()


def lose(lab, uri, *, damage=False):
    """Take a file from the store and from every cache."""
    path = lab.folder / "store" / uri
    path.write_bytes(b"damage") if damage else path.unlink()
    shutil.rmtree(lab.settings.cache_dir, ignore_errors=True)


def test_lost_scores_are_computed_again_and_are_the_same(trained):
    expected = trained.ensemble(SMALL)
    before = models(trained)
    lose(trained, before[1].scores_uri)
    lose(trained, before[3].scores_uri, damage=True)
    batch_id = trained.ensemble(SMALL)

    after = models(trained)
    for table in (dc_batch_result_t4, dc_batch_method):
        assert trained.rows(table, batch_id) == trained.rows(table, expected)
    changed = [old.uri for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [before[1].uri, before[3].uri]
    for old, new in zip(before, after, strict=True):
        assert new.scores_sha256 == old.scores_sha256
        assert len(arrays.load(trained.folder / "store" / new.scores_uri, "valid", "test")) == 2
    with reading(trained.engine) as connection:
        uris = connection.scalars(
            select(dc_batch_result.c.scores_uri).where(
                dc_batch_result.c.model_no == after[1].model_no,
                dc_batch_result.c.model_sub_no == after[1].model_sub_no,
            )
        )
        assert set(uris) == {after[1].scores_uri}
    assert any("computing lost scores of 2 models" in note for _, note in trained.reports)


def test_lost_scores_come_from_the_data_set_as_the_models_own_batch_had_it(trained):
    """The same rows were split before, by batch 1, under a name that tells otherwise of them."""
    trained.load_applicants(sensitive=("bureau_score",), drop=("currency",))
    trained.load_applicants(drop=("currency",))
    forest = [("ML-RF", '{"n_estimators": 10, "min_samples_leaf": 5}')]
    for version in (2, 3):
        trained.train_each(forest, dataset_version=version)
    trained.list_models("C002", [(2, 1, 1), (3, 1, 1)])
    rule = {"ensembles": 1, "members": 2, "rounds": 1}
    expected = trained.ensemble(rule, "C002")
    for model in models(trained):
        if model.batch_id > 1:
            lose(trained, model.scores_uri)
    batch_id = trained.ensemble(rule, "C002")

    assert trained.rows(dc_batch_method, batch_id) == trained.rows(dc_batch_method, expected)
    assert any("computing lost scores of 2 models" in note for _, note in trained.reports)


def test_scores_of_a_model_that_was_trained_again_meanwhile_are_not_named(trained):
    (model, *_) = trained(results.models, 1)
    before = models(trained)
    other = replace(model, sha256=64 * "0", scores_uri="of another model")

    assert not trained(results.put_scores, other)
    assert models(trained) == before


def test_scores_and_model_both_lost_is_an_error_that_names_the_model(trained):
    model = models(trained)[2]
    lose(trained, model.scores_uri)
    lose(trained, model.uri)
    with pytest.raises(ArtifactMissing) as caught:
        trained.ensemble(SMALL)

    text = str(caught.value)
    assert (
        f"batch 1, model {model.model_no}/{model.model_sub_no}: its scores cannot be read" in text
    )
    assert "train batch 1 again" in text
    assert not trained.rows(dc_batch_method, 2)


def test_lost_scores_on_rows_that_are_not_there_any_more_is_an_error(trained):
    lose(trained, models(trained)[0].scores_uri)
    trained(lambda c: c.execute(dc_dataset.update().values(content_sha256=64 * "1")))
    with pytest.raises(DatasetChanged, match="registered anew"):
        trained.ensemble(SMALL)
