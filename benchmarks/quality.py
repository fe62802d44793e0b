"""Test AUC of the four kinds, with their defaults, on the rows set aside: 30 % of real data.

    python -m benchmarks.quality [taiwan] [hmeq] [german]

Needs the data sets in ../shared/data, or in $DEEPCREDIT_SHARED/data.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from configs.settings import load
from models import kind
from pipeline.datasets import load_file
from pipeline.roles import Choices
from storage.engine import make_engine
from storage.migrate import upgrade
from tests.bank import SHARED
from tests.desk import Desk, open_desk

SETS = {
    "taiwan": ("taiwan/taiwan_default.csv", "default_payment_next_month", ("ID",), 0.775),
    "hmeq": ("hmeq/hmeq.csv", "BAD", (), 0.945),
    "german": ("german/german_credit.csv", "default", (), 0.75),
}
NETWORKS = {"taiwan": 0.74}
"""The least AUC of DNN and TabNet."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=sorted(SETS))
    reached = [_measure(name) for name in parser.parse_args().names]
    return 0 if all(reached) else 1


def _measure(name: str) -> bool:
    file, target, drop, least = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        aucs = _train(Path(folder), SHARED / "data" / file, Choices(target=target, drop=drop))
    best = max(aucs, key=lambda model: aucs[model])
    shown = "  ".join(f"{model} {auc:.4f}" for model, auc in sorted(aucs.items()))
    print(f"{name:8} {shown}  best {aucs[best]:.4f} (at least {least})", flush=True)
    networks = min(auc for model, auc in aucs.items() if model.startswith("DL-"))
    return aucs[best] >= least and networks >= NETWORKS.get(name, 0)


def _train(folder: Path, file: Path, choices: Choices) -> dict[str, float]:
    settings = load(
        {
            "database_url": f"sqlite:///{folder / 'quality.db'}",
            "store_url": str(folder / "store"),
            "cache_dir": folder / "cache",
        },
        environ={},
        file=Path("none"),
    )
    engine = make_engine(settings)
    upgrade(engine, print)
    load_file(engine, file, group="G", choices=choices)
    engine.dispose()
    with open_desk(settings, folder) as desk:
        return _aucs(desk)


def _aucs(desk: Desk) -> dict[str, float]:
    desk.models(*((number, name, None) for number, name in enumerate(kind.available(), start=1)))
    rows = desk.results(desk.train())
    return {row.model_id: row.auc for row in rows if row.split == "test"}


if __name__ == "__main__":
    sys.exit(main())
