"""Made-up loan applicants with the troubles of real ones, for the demo and for tests.

Nobody's data: every column is drawn from the distributions below, so equal arguments give equal
files. The outcome, `default_12m`, follows a logistic model of what a lender would expect to matter
(bureau score, card use, late payments, debt, job), with two interactions that a linear model
misses and noise that no model can explain: a good model reaches an AUC near 0.8.

Troubles put in on purpose:

- imbalance: about 8 in 100 are in arrears within a year;
- missing at random: `bureau_score`; missing for a reason: `annual_income`, which the self-employed
  leave out more often, and those in difficulty more often still;
- missing because it cannot exist: `months_since_late` of who was never late;
- a sentinel: 99 in `late_payments_12m` means that there is no history;
- a long tail of categories: 60 values of `industry`, some seen once or never in a part of the rows;
- a constant column, `currency`; heavy tails and outliers in money; Korean categories;
- drift: arrears become slowly more frequent over the two years of `applied_on`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGET, ID, TIME = "default_12m", "applicant_id", "applied_on"
SENTINELS = {"late_payments_12m": "99"}
"""Column to the value that means missing."""

_REGIONS = {
    "서울": 0.30, "경기": 0.26, "부산": 0.09, "인천": 0.07, "대구": 0.06, "경남": 0.05,
    "대전": 0.04, "광주": 0.035, "전북": 0.03, "충남": 0.025, "강원": 0.02, "울산": 0.012,
    "제주": 0.006, "세종": 0.002,
}  # fmt: skip
_JOBS = {
    "정규직": 0.52,
    "계약직": 0.17,
    "자영업": 0.19,
    "프리랜서": 0.07,
    "연금": 0.04,
    "무직": 0.01,
}
_HOMES = {"owned": 0.38, "jeonse": 0.27, "rent": 0.29, "family": 0.06}
_PURPOSES = {
    "living": 0.34, "debt consolidation": 0.27, "car": 0.13, "business": 0.12, "home": 0.08,
    "medical": 0.04, "wedding": 0.015, "other": 0.005,
}  # fmt: skip
_JOB_RISK = {
    "정규직": -0.35,
    "계약직": 0.25,
    "자영업": 0.15,
    "프리랜서": 0.3,
    "연금": -0.2,
    "무직": 0.9,
}
_JOB_INCOME = {
    "정규직": 1.0,
    "계약직": 0.7,
    "자영업": 0.95,
    "프리랜서": 0.8,
    "연금": 0.45,
    "무직": 0.15,
}
_PURPOSE_RISK = {"debt consolidation": 0.35, "business": 0.25, "home": -0.3, "wedding": -0.2}
_INDUSTRIES = 60
_DAYS = 730
_FIRST_DAY = np.datetime64("2023-01-01")


@dataclass(frozen=True, slots=True)
class _People:
    """What is true of each applicant, before anything is left out."""

    day: NDArray[np.int64]
    age: Floats
    region: NDArray[np.str_]
    job: NDArray[np.str_]
    industry: NDArray[np.str_]
    home: NDArray[np.str_]
    purpose: NDArray[np.str_]
    income: Floats  # a year, in 10,000 won
    loan: Floats  # in 10,000 won
    term: NDArray[np.int64]  # months
    debt_ratio: Floats  # yearly payments over income
    card_use: Floats  # of the limit; may exceed 1
    late: NDArray[np.int64]
    months_since_late: NDArray[np.int64]
    inquiries: NDArray[np.int64]
    strain: Floats  # what the bureau knows and the lender only sees in part


def generate(rows: int = 6000, seed: int = 42) -> dict[str, list[Any]]:
    """Column name to values, in the file's order; None is missing. Equal arguments, equal rows."""
    random = np.random.default_rng(seed)
    people = _draw(random, rows)
    arrears = random.random(rows) < _probability(people, random)
    score = np.clip(np.round(735 - 85 * people.strain + random.normal(0, 45, rows)), 300, 950)

    columns: dict[str, Any] = {
        ID: [f"A{number:06d}" for number in range(1, rows + 1)],
        TIME: (_FIRST_DAY + people.day).astype(str),
        "age": people.age.astype(int),
        "region": people.region,
        "job": people.job,
        "industry": people.industry,
        "home": people.home,
        "annual_income": np.round(people.income).astype(int),
        "loan_amount": (np.ceil(people.loan / 50) * 50).astype(int),
        "loan_months": people.term,
        "purpose": people.purpose,
        "debt_ratio": np.round(people.debt_ratio, 3),
        "card_utilisation": np.round(people.card_use, 3),
        "late_payments_12m": people.late,
        "months_since_late": people.months_since_late,
        "inquiries_6m": people.inquiries,
        "bureau_score": score.astype(int),
        "currency": np.full(rows, "KRW"),
        TARGET: arrears.astype(int),
    }
    values = {name: np.asarray(column).tolist() for name, column in columns.items()}
    _leave_out(values, people, arrears, random)
    return values


def write_csv(path: Path, rows: int = 6000, seed: int = 42) -> None:
    """Write `generate`'s rows as UTF-8 CSV, in one step: the file is whole or not there."""
    columns = generate(rows, seed)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    part.replace(path)


def _draw(random: np.random.Generator, n: int) -> _People:
    age = np.clip(random.gamma(7.0, 3.6, n) + 19, 19, 79)
    job = _choose(random, _JOBS, n)
    strain = random.normal(0, 1, n)
    prime = 1 - ((age - 48) / 60) ** 2
    income = 4200 * _of(_JOB_INCOME, job) * prime * random.lognormal(0, 0.45, n)
    income = np.where(random.random(n) < 0.002, income * 25, income)
    loan = np.clip(income * random.lognormal(-1.0, 0.7, n), 100, 30000)
    late = np.minimum(random.poisson(np.exp(-1.6 + 0.75 * strain)), 12)
    tail = 1 / np.arange(1, _INDUSTRIES + 1) ** 1.9
    industry = random.choice(_INDUSTRIES, n, p=tail / tail.sum())
    return _People(
        day=random.integers(0, _DAYS, n),
        age=age,
        region=_choose(random, _REGIONS, n),
        job=job,
        industry=np.char.add("ind-", np.char.zfill((industry + 1).astype(str), 2)),
        home=_choose(random, _HOMES, n),
        purpose=_choose(random, _PURPOSES, n),
        income=income,
        loan=loan,
        term=random.choice([12, 24, 36, 48, 60], n, p=[0.15, 0.25, 0.35, 0.1, 0.15]),
        debt_ratio=np.exp(-1.5 + 0.35 * strain + random.normal(0, 0.5, n)),
        card_use=np.clip(random.beta(1.3, 2.2, n) + 0.13 * strain, 0, 1.3),
        late=late,
        months_since_late=random.integers(1, 13, n),
        inquiries=random.poisson(np.exp(0.1 + 0.3 * strain)),
        strain=strain,
    )


def _probability(people: _People, random: np.random.Generator) -> Floats:
    young = people.age < 27
    over_limit = people.card_use > 0.85
    risk = (
        -3.6
        + 0.95 * people.strain
        + 1.1 * (people.card_use - 0.35)
        + 0.45 * np.minimum(people.late, 4)
        + 0.5 * np.log(people.debt_ratio / 0.22)
        + 0.25 * np.log(people.loan / people.income + 0.1)
        + _of(_JOB_RISK, people.job)
        + _of(_PURPOSE_RISK, people.purpose)
        + 0.9 * (young & (people.purpose == "debt consolidation"))
        + 0.7 * (over_limit & (people.inquiries >= 3))
        - 0.25 * (people.home == "owned")
        + 0.4 * people.day / _DAYS
        + random.normal(0, 0.4, len(people.age))
    )
    return np.asarray(1 / (1 + np.exp(-risk)), dtype=np.float64)


def _leave_out(
    values: dict[str, list[Any]],
    people: _People,
    arrears: NDArray[np.bool_],
    random: np.random.Generator,
) -> None:
    n = len(arrears)
    hidden_income = random.random(n) < 0.04 + 0.12 * (people.job == "자영업") + 0.05 * arrears
    no_history = random.random(n) < 0.06 + 0.1 * (people.age < 25)
    for name, missing in {
        "annual_income": hidden_income,
        "bureau_score": random.random(n) < 0.03,
        "card_utilisation": random.random(n) < 0.11,
        "months_since_late": (people.late == 0) | no_history,
        "home": random.random(n) < 0.015,
    }.items():
        for row in np.flatnonzero(missing):
            values[name][row] = None
    for row in np.flatnonzero(no_history):
        values["late_payments_12m"][row] = int(SENTINELS["late_payments_12m"])


def _choose(random: np.random.Generator, shares: dict[str, float], n: int) -> NDArray[np.str_]:
    weights = np.array(list(shares.values()))
    return random.choice(np.array(list(shares)), n, p=weights / weights.sum())


def _of(table: dict[str, float], values: NDArray[np.str_]) -> Floats:
    """The table's number for each value; 0 for one that is not there."""
    return np.array([table.get(value, 0.0) for value in values.tolist()], dtype=np.float64)
