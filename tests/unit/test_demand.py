"""What the fit of a model asks for: a card where it pays, and memory."""

import json
import math

import pytest
import torch
from xgboost.core import XGBoostError

from configs.errors import CardFull
from models import demand, devices, kind
from models.variants import expand

KINDS = kind.available()


@pytest.mark.parametrize("method", ["auto", "hist", "approx", "exact"])
def test_boosting_that_no_card_can_grow_asks_for_none(method):
    (variant,) = expand(json.dumps({"tree_method": method}), "ML-XGB", model_no=1)

    found = demand.of_fit("ML-XGB", variant, rows=100_000, all_rows=200_000, columns=5)

    assert (found.gpu > 0) == (method != "exact")


@pytest.mark.parametrize(
    ("model_id", "params", "rows", "columns", "pays"),
    [
        ("ML-XGB", {}, 4_000, 20, False),
        ("ML-XGB", {}, 16_000, 30, True),
        ("DL-DNN", {"hidden_units": [64], "batch_size": 256}, 80_000, 200, False),
        ("DL-DNN", {"hidden_units": [256, 128], "batch_size": 1024}, 16_000, 30, True),
        ("DL-DNN", {"hidden_units": [256, 128], "batch_size": 1024}, 500, 30, False),
        ("DL-TABNET", {"n_steps": 2, "virtual_batch_size": 256}, 16_000, 30, False),
        ("DL-TABNET", {"n_steps": 2, "virtual_batch_size": 256}, 80_000, 200, True),
        # Not measured: more kernels than the above, at the same batch.
        ("DL-DNN", {"hidden_units": [25] * 16, "batch_size": 1024}, 80_000, 30, False),
        ("DL-TABNET", {}, 80_000, 200, False),
        ("DL-TABNET", {"batch_size": 16_384}, 80_000, 30, False),
        ("DL-TABNET", {"n_independent": 0, "n_shared": 1}, 1, 1, False),
        # What the descriptions say.
        ("DL-DNN", {"batch_size": 1024, "hidden_units": [200, 100]}, 80_000, 103, True),
        ("DL-DNN", {"batch_size": 1024, "hidden_units": [200, 100]}, 80_000, 102, False),
        ("DL-TABNET", {}, 80_000, 269, True),
        ("DL-TABNET", {}, 80_000, 268, False),
        ("DL-TABNET", {"virtual_batch_size": 1024}, 80_000, 67, True),
        ("DL-TABNET", {"virtual_batch_size": 1024}, 80_000, 66, False),
    ],
)
def test_a_card_is_asked_for_where_it_pays(model_id, params, rows, columns, pays):
    """As measured by benchmarks/cards.py."""
    (variant,) = expand(json.dumps(params), model_id, model_no=1)

    found = demand.of_fit(model_id, variant, rows=rows, all_rows=rows, columns=columns)

    assert (found.gpu > 0) == pays


def test_rows_that_resampling_adds_count_for_whether_a_card_pays():
    (plain,) = expand("{}", "ML-XGB", model_no=1)
    (grown,) = expand('{"resampling": "smote"}', "ML-XGB", model_no=1)

    of_plain, of_grown = (
        demand.of_fit("ML-XGB", each, rows=9_000, all_rows=9_000, columns=20)
        for each in (plain, grown)
    )

    assert (of_plain.gpu > 0, of_grown.gpu > 0) == (False, True)


@pytest.mark.parametrize(("device", "card"), [("cuda", True), ("cpu", False), (None, False)])
def test_a_model_is_scored_on_what_it_was_fitted_on(device, card):
    found = demand.of_scoring(device=device, matrix_bytes=2**20, model_bytes=2**20)

    assert (found.gpu > 0) == card
    assert found.memory_mb == 50 + 4 + 8


@pytest.mark.parametrize(
    ("memory_mb", "share"), [(54, 0.25), (1998, 0.25), (2002, 0.5), (6002, 1.0), (90_002, 1.0)]
)
def test_a_card_is_shared_in_quarters_by_memory(memory_mb, share):
    matrix_bytes = (memory_mb - 50) // 4 * 2**20

    assert demand.of_scoring(device="cuda", matrix_bytes=matrix_bytes, model_bytes=0).gpu == share


def test_a_large_matrix_is_for_a_process_apart_whose_libraries_take_memory_too():
    (variant,) = expand("{}", "ML-RF", model_no=1)
    sizes = (2**20 - 1, 2**20)  # rows of 16 columns: 64 MB
    fits = [demand.of_fit("ML-RF", variant, rows=1000, all_rows=rows, columns=16) for rows in sizes]
    applied = [
        demand.of_scoring(device=None, matrix_bytes=4 * 16 * rows, model_bytes=0) for rows in sizes
    ]

    for small, large in (fits, applied):
        assert (small.apart, large.apart) == (False, True)
        assert large.memory_mb - small.memory_mb == 120


@pytest.mark.parametrize(("method", "growth"), [("under", 1), ("over", 2), ("smotetomek", 2)])
def test_resampling_takes_two_copies_of_the_rows_and_of_those_it_may_add(method, growth):
    rows, columns = 2**18, 8  # 8 MB
    (variant,) = expand(json.dumps({"resampling": method}), "ML-RF", model_no=1)
    fit = kind.find("ML-RF").memory(variant.params, growth * rows, columns)

    found = demand.of_fit("ML-RF", variant, rows=rows, all_rows=2 * rows, columns=columns)

    assert found.memory_mb == 50 + math.ceil(16 + growth * 2 * 8 + fit / 2**20)


def test_every_library_knows_the_error_of_its_own_full_card():
    of_torch = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    of_xgboost = XGBoostError("cudaErrorMemoryAllocation: out of memory")
    told = {
        model_id: [kind.estimators(model_id).CARD.is_full(e) for e in (of_torch, of_xgboost)]
        for model_id in KINDS
        if kind.estimators(model_id).CARD
    }

    assert told == {
        "DL-DNN": [True, False],
        "DL-TABNET": [True, False],
        "ML-XGB": [False, True],
    }
    card = kind.estimators("DL-DNN").CARD
    with pytest.raises(CardFull, match="Tried to allocate"), devices.minding_memory(card):
        raise of_torch
    with pytest.raises(torch.OutOfMemoryError), devices.minding_memory(None):
        raise of_torch


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), False),
        (ValueError("CUDA error: out of memory"), False),
        (MemoryError("out of memory"), False),
    ],
    ids=str,
)
def test_a_card_is_also_full_when_a_library_of_cuda_finds_it_so(error, full):
    assert kind.estimators("DL-DNN").CARD.is_full(error) == full


def test_the_memory_of_boosting_grows_with_bins_and_depth_as_was_measured():
    of = kind.find("ML-XGB")
    measured = {(256, 6): 33, (4096, 6): 248, (65_536, 6): 1087, (256, 10): 128, (256, 20): 539}

    for (bins, depth), mb in measured.items():
        told = of.memory(of.check({"max_bin": bins, "max_depth": depth}), 20_000, 50) / 2**20
        assert 0.7 * mb < told < 2 * mb, (bins, depth, told)
