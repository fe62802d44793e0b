"""A worker that was frozen, taken for dead, and wakes after another did its task."""

import shutil

import pytest

from pipeline.ensembles import pictures
from pipeline.ensembles.part_scoring import score_parts
from pipeline.ensembles.ranges import try_range
from pipeline.executor import Inline
from pipeline.fitting import Fitted, fit_variant
from pipeline.scoring import Scored, score_model
from tests.lab import Lab

NAMES = [(1, 1, 1), (1, 1, 2), (1, 1, 3)]
SMALL = {"ensembles": 500, "members": 2, "rounds": 3}


class Awoken(Inline):
    """Does each task once more when it is done. `first`, `late`: what was put, by function."""

    def __init__(self):
        self.first, self.late = {}, {}

    def run(self, function, tasks, *, need=None, deadline=None):
        for done in super().run(function, tasks):
            self.first.setdefault(function, []).extend(put(done.value))
            self.late.setdefault(function, []).extend(put(function(done.task)))
            yield done


def put(value):
    match value:
        case Fitted():
            return value.model.uri, value.scores.uri
        case Scored():
            return (value.scores.uri,)
        case _:
            return (value.uri,)


@pytest.fixture
def lab(sqlite_settings, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    lab = Lab(sqlite_settings, tmp_path)
    lab.executor = Awoken()
    lab.load_applicants()
    lab.load_applicants("DATA002", seed=9)
    return lab


def test_whatever_it_puts_leaves_the_files_of_the_other_alone(lab):
    lab.train_each([("ML-XGB", '{"n_estimators": 5, "grid": {"max_depth": [1, 2, 3]}}')])
    lab.predict(1)
    lab.list_models("C001", NAMES)
    searched = lab.ensemble(SMALL)
    for scores in (lab.folder / "store" / "models").rglob("*.scores.*"):
        scores.unlink()
    shutil.rmtree(lab.settings.cache_dir)
    lab.execute(lab.add(mode="ensemble", candidate_id="C001", parameters=SMALL))
    lab.predict(searched, dataset_group="DATA002", dataset_version=1)

    first, late = lab.executor.first, lab.executor.late
    assert first.keys() == {fit_variant, score_model, score_parts, try_range}
    put = [uri for uris in (*first.values(), *late.values()) for uri in uris]
    assert len(first[score_parts]) == 6  # of lost scores, and of the members of an ensemble
    assert len(set(put)) == len(put)
