"""Peak memory of the launcher while it has a batch of 150,000 rows x 30 features trained.

python -m benchmarks.memory
"""

import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tests.bank import Bank, small_bank

ROWS, FEATURES = 150_000, 30
MOST_MB = 300


def main() -> int:
    with tempfile.TemporaryDirectory() as name, small_bank(Path(name)) as bank:
        _load(bank)
        launcher = bank.launcher("BENCH")
        bank.wait(lambda: bank.state(1) in "CE", 280)
        assert bank.state(1) == "C", bank.log()
        status = Path(f"/proc/{launcher.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    peak = int(found[1]) / 1024
    print(f"train batch of {ROWS:,} x {FEATURES}: launcher at most {peak:.0f} MB (under {MOST_MB})")
    return 0 if peak < MOST_MB else 1


def _load(bank: Bank) -> None:
    dice = np.random.default_rng(1)
    X = dice.normal(size=(ROWS, FEATURES))
    columns = {f"x{number}": X[:, number] for number in range(FEATURES)}
    columns["y"] = (X[:, 0] + dice.normal(size=ROWS) > 1).astype(np.int64)
    parquet.write_table(pa.table(columns), bank.folder / "rows.parquet")
    bank.deepcredit("dataset", "load", "rows.parquet", "--group", "G", "--target", "y")
    bank.sql(
        "INSERT INTO dc_model_list (model_no, model_id, model_group_id, model_param) "
        "VALUES (1, 'ML-XGB', 'M', '{\"n_estimators\": 50}')"
    )
    bank.sql(
        "INSERT INTO dc_batch (mode, dataset_group, dataset_version, model_group) "
        "VALUES ('train', 'G', 1, 'M')"
    )


if __name__ == "__main__":
    sys.exit(main())
