import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from launcher.demo.applicants import ID, SENTINELS, TARGET, TIME, generate, write_csv


@pytest.fixture(scope="module")
def columns() -> dict[str, list]:
    return generate()


def test_equal_arguments_give_equal_files_and_another_seed_another(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first.csv", "second.csv", "other.csv"))

    write_csv(first, rows=200, seed=1)
    write_csv(second, rows=200, seed=1)
    write_csv(other, rows=200, seed=2)

    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"first.csv", "second.csv", "other.csv"}


def test_the_file_holds_what_was_generated(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", rows=300, seed=3)

    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    expected = generate(rows=300, seed=3)
    assert header == list(expected)
    assert rows == [
        ["" if value is None else str(value) for value in row]
        for row in zip(*expected.values(), strict=True)
    ]


def test_arrears_are_rare(columns: dict[str, list]) -> None:
    assert 0.06 < np.mean(columns[TARGET]) < 0.10
    assert set(columns[TARGET]) == {0, 1}


def test_applicants_are_numbered_once_each(columns: dict[str, list]) -> None:
    assert len(set(columns[ID])) == len(columns[ID]) == 6000
    assert min(columns[TIME]) >= "2023-01-01"
    assert max(columns[TIME]) <= "2024-12-31"


def test_values_are_missing_where_the_docstring_says(columns: dict[str, list]) -> None:
    missing = {name for name, values in columns.items() if None in values}

    assert missing == {
        "annual_income",
        "bureau_score",
        "card_utilisation",
        "home",
        "months_since_late",
    }
    jobs = np.array(columns["job"])
    hidden = np.array([value is None for value in columns["annual_income"]])
    assert hidden[jobs == "자영업"].mean() > 2 * hidden[jobs == "정규직"].mean()
    for late, months in zip(
        columns["late_payments_12m"], columns["months_since_late"], strict=True
    ):
        assert (months is not None) == (0 < late < 99)


def test_the_sentinel_is_out_of_range(columns: dict[str, list]) -> None:
    late = Counter(columns["late_payments_12m"])

    assert SENTINELS == {"late_payments_12m": "99"}
    assert late.pop(99) > 100
    assert max(late) <= 12


def test_some_categories_are_rare_and_one_column_is_constant(columns: dict[str, list]) -> None:
    industries = Counter(columns["industry"])

    assert len(industries) > 40
    assert min(industries.values()) <= 2
    assert min(Counter(columns["region"]).values()) < 30
    assert set(columns["currency"]) == {"KRW"}


def test_the_outcome_can_be_learned_but_not_perfectly(columns: dict[str, list]) -> None:
    names = ("debt_ratio", "card_utilisation", "late_payments_12m", "inquiries_6m", "bureau_score")
    X = np.array([columns[name] for name in names], dtype=float).T
    X[X[:, 2] == 99, 2] = np.nan
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = np.array(columns[TARGET])

    model = LogisticRegression().fit(X[::2], y[::2])

    assert 0.70 < roc_auc_score(y[1::2], model.predict_proba(X[1::2])[:, 1]) < 0.88
