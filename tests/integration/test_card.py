"""Fits, scores and votes on an NVIDIA card; skipped where there is none."""

import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.cards import rows_of
from benchmarks.votes import RULE, problem
from configs.errors import CardFull
from configs.installed import can_use_cards
from configs.settings import Settings
from ensemble.card import proven_count
from ensemble.votes import count, pack
from launcher.cluster.connection import connect
from launcher.service.clusters import EmbeddedCluster
from models import devices, kind
from models.scores import auc
from tests.bank import ROOT, SHARED, Bank, small_bank
from tests.ports import free_port
from tests.sshd import SshServer, running_sshd

pytestmark = [
    pytest.mark.skipif(not devices.count(), reason="no NVIDIA card here"),
    pytest.mark.skipif(
        not all(map(can_use_cards, ("torch", "xgboost"))),
        reason="libraries are built for the CPU: make setup GPU=1",
    ),
    pytest.mark.filterwarnings("ignore::UserWarning:xgboost"),
]

FITTED = {
    "ML-XGB": {"n_estimators": 60, "subsample": 0.7, "colsample_bytree": 0.5},
    "DL-DNN": {"hidden_units": [32, 16], "dropout": 0.2, "max_epochs": 5},
    "DL-TABNET": {"max_epochs": 8, "batch_size": 256, "virtual_batch_size": 128},
}
MIB = 2**20


def fitted(model_id: str, device: str, size: tuple[int, int] = (6000, 20)):
    X, y = rows_of(*size)
    cut = len(y) * 2 // 3
    of = kind.estimators(model_id)
    params = kind.find(model_id).check(FITTED[model_id])
    estimator = of.build(params, seed=7, device=device)
    return estimator.fit(X[:cut], y[:cut], eval_set=(X[cut:], y[cut:])), X[cut:], y[cut:]


def scores(model_id: str) -> bytes:
    estimator, X, _ = fitted(model_id, "cuda")
    return kind.scores_of(estimator, X).tobytes()


@pytest.mark.parametrize("model_id", FITTED)
def test_every_kind_that_can_use_a_card_finds_it(model_id):
    assert devices.best(kind.estimators(model_id).CARD) == "cuda"


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, bytes]:
    """Scores that another process makes."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return dict(zip(FITTED, pool.map(scores, FITTED), strict=True))


@pytest.mark.parametrize("model_id", FITTED)
def test_the_same_rows_and_seed_give_the_same_bits_alone_shared_and_elsewhere(model_id, elsewhere):
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(scores, [model_id] * 8))

    assert {scores(model_id)} == {elsewhere[model_id], *shared}


@pytest.mark.parametrize("model_id", FITTED)
def test_a_model_of_the_card_scores_alike_when_loaded_there_and_nearly_so_on_the_cpu(
    model_id, tmp_path
):
    of = kind.estimators(model_id)
    estimator, X, _ = fitted(model_id, "cuda")
    expected = kind.scores_of(estimator, X)
    estimator.save(tmp_path / "model")

    again = kind.scores_of(of.load(tmp_path / "model", device="cuda"), X)
    on_cpu = kind.scores_of(of.load(tmp_path / "model", device="cpu"), X)

    assert np.array_equal(expected, again)
    assert np.abs(expected - on_cpu).max() < 1e-4


@pytest.mark.parametrize("model_id", FITTED)
def test_the_card_learns_as_well_as_the_cpu(model_id):
    found = []
    for device in ("cuda", "cpu"):
        estimator, X, y = fitted(model_id, device)
        found.append(auc(y, kind.scores_of(estimator, X)))

    assert min(found) > 0.65
    assert abs(found[0] - found[1]) < 0.05


def test_the_card_counts_the_votes_of_hundreds_of_models_as_the_processor_does():
    votes, labels = problem(9000)
    parts = [pack(votes[:, :5000], labels[:5000]), pack(votes[:, 5000:], labels[5000:])]

    given = (parts, RULE, 42, 2**40, 2**40 + 3000)
    assert np.array_equal(proven_count()(*given), count(*given))


@contextmanager
def little_left(mib: int) -> Iterator[None]:
    """Another process keeps all memory of the card but so much."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_take, args=(theirs, mib))
    process.start()
    theirs.close()  # so that its death ends the wait
    try:
        assert mine.recv() == "taken"
        yield
    finally:
        mine.send("end")
        process.join()


def _take(pipe, mib: int) -> None:
    free, _ = torch.cuda.mem_get_info()
    kept = []
    for piece in (1024, 64, 12):  # torch would take 20 for a piece of 1 to 10
        while free > (mib + piece) * MIB:
            kept.append(torch.empty(piece * MIB, dtype=torch.uint8, device="cuda"))
            free, _ = torch.cuda.mem_get_info()
    pipe.send("taken")
    pipe.recv()


@pytest.mark.parametrize("model_id", FITTED)
def test_what_a_full_card_says_is_understood_and_the_card_serves_again(model_id):
    card = kind.estimators(model_id).CARD
    fitted(model_id, "cuda")  # the process has its context
    torch.cuda.empty_cache()
    with little_left(32), pytest.raises(CardFull), devices.minding_memory(card):
        fitted(model_id, "cuda", (100_000, 200))
    with devices.minding_memory(card):
        fitted(model_id, "cuda")


MODELS = [  # each but the forest large enough for a card to pay
    (1, "ML-XGB", '{"n_estimators": 40, "grid": {"max_depth": [3, 4, 5, 6]}}'),
    (2, "ML-RF", '{"n_estimators": 20}'),
    (
        *(3, "DL-DNN"),
        '{"batch_size": 1024, "hidden_units": [512], "grid": {"lr": [0.001, 0.002, 0.004, 0.008]}}',
    ),
    (4, "DL-TABNET", '{"max_epochs": 3, "virtual_batch_size": 1024, "grid": {"n_d": [16, 24]}}'),
    (5, "DL-DNN", '{"max_epochs": 4, "batch_size": 256, "hidden_units": [32]}'),  # too small
]
FIGURES = "model_no, model_sub_no, split, tn, fp, fn, tp, threshold, auc, log_loss, scores_sha256"


@contextmanager
def card_bank(folder: Path, models=MODELS, **settings: str) -> Iterator[Bank]:
    folder.mkdir(exist_ok=True)
    with small_bank(folder, **settings) as bank:
        data = SHARED / "data" / "taiwan" / "taiwan_default.csv"
        target = ["--target", "default_payment_next_month", "--drop", "ID"]
        bank.deepcredit("dataset", "load", str(data), "--group", "G", *target)
        for model_no, model_id, param in models:
            bank.add_model(model_no, model_id, "M", json.loads(param))
        yield bank


def add(bank: Bank, mode: str, **columns: str) -> None:
    values = {"mode": f"'{mode}'", "dataset_group": "'G'", "dataset_version": "1", **columns}
    bank.sql(f"INSERT INTO dc_batch ({', '.join(values)}) VALUES ({', '.join(values.values())})")


def drain(bank: Bank, env: dict[str, str] | None = None) -> None:
    before = bank.env
    bank.env = dict(before) | (env or {})
    assert bank.launcher("SERVER_001", "--drain").wait(timeout=280) == 0, bank.log()
    bank.env = before
    assert {row[0] for row in bank.sql("SELECT state FROM dc_batch")} == {"C"}, bank.log()


def figures(bank: Bank, batch_id: int) -> list[list[str]]:
    return bank.sql(
        f"SELECT {FIGURES} FROM dc_batch_result WHERE batch_id = {batch_id} "
        "ORDER BY model_no, model_sub_no, split"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Iterator[Bank]:
    """With two equal train batches, 1 and 2, that a launcher with its embedded cluster ran."""
    with card_bank(tmp_path_factory.mktemp("trained")) as bank:
        add(bank, "train", model_group="'M'")
        add(bank, "train", model_group="'M'")
        drain(bank)
        yield bank


def test_fits_that_a_card_pays_for_are_done_there_and_give_the_same_figures_again(trained):
    used = trained.sql("SELECT DISTINCT model_no, device FROM dc_model ORDER BY model_no")
    notes = trained.sql("SELECT note FROM dc_batch_result WHERE note IS NOT NULL")

    assert used == [["1", "cuda"], ["2", "cpu"], ["3", "cuda"], ["4", "cuda"], ["5", "cpu"]]
    assert not notes
    assert figures(trained, 1)
    assert figures(trained, 1) == figures(trained, 2)


def test_a_search_on_the_card_leaves_the_rows_of_one_on_the_cpu(trained):
    trained.deepcredit("candidates", "add", "C001", "--from-batch", "1")
    found = []
    for env in ({}, {"CUDA_VISIBLE_DEVICES": ""}):
        search = """'{"ensembles": 20000, "members": 5, "rounds": 4, "keep": 100}'"""
        trained.sql(
            "INSERT INTO dc_batch (candidate_id, mode, batch_param) "
            f"VALUES ('C001', 'ensemble', {search})"
        )
        drain(trained, env)
        found.append(
            trained.sql(
                "SELECT ensemble_no, split, rank_no, tn, fp, fn, tp FROM dc_batch_result_t4 "
                "WHERE batch_id = (SELECT MAX(batch_id) FROM dc_batch) ORDER BY 1, 2"
            )
        )

    assert found[0]
    assert found[0] == found[1]
    assert "card not used" not in trained.log()


def test_predictions_are_made_on_the_card_that_fitted(trained):
    add(trained, "predict", train_batch_id="1")
    add(trained, "predict", train_batch_id="2")
    drain(trained)
    [[first], [second]] = trained.sql(
        "SELECT batch_id FROM dc_batch WHERE mode = 'predict' ORDER BY batch_id"
    )

    assert figures(trained, int(first))
    assert figures(trained, int(first)) == figures(trained, int(second))


def test_a_fit_for_which_the_card_has_no_memory_is_done_on_the_cpu_and_says_so(tmp_path):
    with card_bank(tmp_path, [MODELS[2]]) as bank, little_left(8):
        add(bank, "train", model_group="'M'")
        drain(bank)
        used = bank.sql("SELECT DISTINCT device FROM dc_model")
        notes = bank.sql("SELECT DISTINCT note FROM dc_batch_result")

    assert used == [["cpu"]]
    assert notes == [["no memory left on a card of its own: done on the CPU"]]


def test_the_worker_of_a_card_sees_it_and_others_do_not(tmp_path):
    cluster = EmbeddedCluster(Settings(workers=2, cache_dir=tmp_path))
    try:
        scheduler = cluster.scheduler()
        with closing(connect(scheduler.address, scheduler.certificates)) as executor:
            seen = executor.link.client.run(devices.count)
    finally:
        cluster.close()

    assert sorted(seen.values()) == [0, 0, *[1] * devices.count()]


def test_a_cluster_over_ssh_has_a_worker_for_the_card(tmp_path):
    with running_sshd(tmp_path / "sshd", environment={"PYTHONPATH": str(ROOT)}) as sshd:
        port = free_port()
        (tmp_path / "deepcredit.toml").write_text(_toml(tmp_path, sshd, port))
        with card_bank(tmp_path, [MODELS[2]]) as bank:
            try:
                bank.deepcredit("cluster", "start")
                shown = bank.deepcredit("cluster", "status")
                add(bank, "train", model_group="'M'")
                drain(bank, {"DEEPCREDIT_SCHEDULER": f"tcp://127.0.0.1:{port}"})
                used = bank.sql("SELECT DISTINCT device FROM dc_model")
            finally:
                bank.deepcredit("cluster", "stop")

    assert "one-gpu0" in shown
    assert used == [["cuda"]]


def _toml(folder: Path, sshd: SshServer, port: int) -> str:
    return f"""
[cluster]
user = "{sshd.user}"
key_file = "{sshd.key_file}"
known_hosts = "{sshd.known_hosts}"
port = {sshd.port}
python = "{sys.executable}"
folder = "{folder / "host"}"
scheduler_port = {port}
dashboard_port = {free_port()}
[[cluster.hosts]]
address = "127.0.0.1"
name = "one"
workers = 1
gpus = 1
"""
