from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import run_files
from pipeline.fitting import FitTask
from pipeline.model_run import ModelRun
from pipeline.orphans import Owner, Why, owner_of, sort_out
from pipeline.run_files import of_one_execution
from pipeline.scoring import ScoreTask
from storage.artifacts.uris import unfinished

small = st.integers(1, 4)
HASH = "ab" * 32


def fenced(place, batch_id, fence):
    if place.startswith("one "):
        return of_one_execution(fenced(place.removeprefix("one "), batch_id, fence))
    return {
        "model": f"models/T{batch_id}/3/1.f{fence}.ubj",
        "scores": f"models/T{batch_id}/3/1.f{fence}.scores.safetensors",
        "restored": f"models/T9/3/1.e{batch_id}.f{fence}.scores.safetensors",
        "prediction": f"predictions/P{batch_id}/3/1.f{fence}.scores.safetensors",
        "range": f"ensembles/E{batch_id}/0-9999.f{fence}.safetensors",
        "votes": f"ensembles/E{batch_id}/votes.f{fence}.safetensors",
    }[place]


puts = ["model", "scores", "restored", "prediction", "range"]
places = st.sampled_from(["votes", *puts, *(f"one {put}" for put in puts)])
of_a_run = st.builds(fenced, places, small, small)
shared = st.sampled_from(
    [
        f"matrices/{HASH}.npy",
        f"splits/{HASH}.safetensors",
        f"preprocessors/{HASH}.json",
        f"labels/{HASH}.safetensors",
        f"row_keys/{HASH}.safetensors",
        "probe-00ff",
    ]
)
pictures = st.builds(lambda batch: f"ensembles/E{batch}/cloud.{'ab' * 8}.png", small)
foreign = st.sampled_from(
    ["README", "models/T1/notes.txt", "models/Tx/1.f2.ubj", "backup/models/T1/3/1.f2.ubj", "a.tmp"]
)
ours = of_a_run | shared | pictures
uploads = ours.map(unfinished)


@settings(max_examples=200, deadline=None)
@given(
    files=st.lists(ours | uploads | foreign, unique=True),
    data=st.data(),
    running=st.dictionaries(small, small),
)
def test_nothing_named_running_or_foreign_is_an_orphan(files, data, running):
    named = data.draw(st.sets(st.sampled_from(files))) if files else set()

    found = sort_out([(uri, 1) for uri in files], named, running)

    orphans = {orphan.uri for orphan in found.orphans}
    parts = [orphans, set(found.in_use), set(found.foreign), named]
    assert set().union(*parts) == set(files)
    assert sum(map(len, parts)) == len(files)
    for uri in orphans:
        owner = owner_of(uri)
        assert owner is not None
        if owner.batch_id is None:
            assert not running
        elif owner.fence is None:
            assert owner.batch_id not in running
        else:
            assert running.get(owner.batch_id) != owner.fence
    if not running:
        assert found.in_use == ()


@given(places, small, small)
def test_a_file_of_a_run_is_kept_while_that_very_run_lasts(place, batch_id, fence):
    uri = fenced(place, batch_id, fence)

    for name in (uri, unfinished(uri)):
        assert owner_of(name) == Owner(batch_id, fence)
        assert sort_out([(name, 5)], set(), {batch_id: fence}).in_use == (name,)
        for running in ({}, {batch_id: fence + 1}, {batch_id + 1: fence}):
            (orphan,) = sort_out([(name, 5)], set(), running).orphans
            assert (orphan.uri, orphan.bytes) == (name, 5)


def test_the_reason_is_told():
    uris = (fenced("model", 1, 1), unfinished("splits/a.safetensors"), f"matrices/{HASH}.npy")

    found = sort_out([(uri, 1) for uri in uris], set(), {})

    assert [orphan.why for orphan in found.orphans] == [Why.DEAD_RUN, Why.UNFINISHED, Why.UNUSED]


def test_the_names_that_runs_give_are_known():
    run = ModelRun(batch_id=12, fence=7, model_no=3, model_sub_no=2, model_id="ML-XGB")
    fit = object.__new__(FitTask)
    object.__setattr__(fit, "run", run)
    score = object.__new__(ScoreTask)
    object.__setattr__(score, "run", replace(run, batch_id=13))

    assert owner_of(fit.uri("ubj")) == Owner(12, 7)
    assert owner_of(fit.uri("scores.safetensors")) == Owner(12, 7)
    assert owner_of(score.uri) == Owner(13, 7)
    member = run_files.of_run(run_files.of_member(14, (12, 3, 2)), 7, "scores.safetensors")
    assert owner_of(member) == Owner(14, 7)
    picture = run_files.of_picture(15, "cloud").format(sha256=HASH)
    assert picture == f"ensembles/E15/cloud.{HASH[:16]}.png"
    assert owner_of(picture) == Owner(15)


def test_a_file_named_by_its_content_is_any_runs():
    named = {name.format(sha256=HASH) for name in run_files.SHARED}

    folders = {"matrices", "splits", "preprocessors", "labels", "row_keys"}
    assert {uri.split("/")[0] for uri in named} == folders
    assert {owner_of(uri) for uri in named} == {Owner(None)}
