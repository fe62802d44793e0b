"""`deepcredit demo` as a newcomer runs it, small; twice, and with a file of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bank import environment

ONE_MODEL = """
[[model]]
model_no = 9001
model_id = "ML-XGB"
model_group_id = "DEMO"
param = { n_estimators = 10, grid = { max_depth = [1, 2, 3, 4, 5] } }
""" + "".join(
    f"""
[[model]]
model_no = {number}
model_id = "ML-RF"
model_group_id = "DEMO"
use_yn = "N"
"""
    for number in (9002, 9003, 9004)
)
LOANS = "".join(
    f"{number},{number % 7},{'서울' if number % 3 else '부산'},{'no' if number % 4 else 'yes'}\n"
    for number in range(400)
)


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_and_may_be_repeated(tmp_path: Path) -> None:
    own = tmp_path / "loans.csv"
    own.write_text("loan_no,grade,지역,arrears\n" + LOANS, encoding="utf-8")
    models = tmp_path / "var" / "demo" / "models.toml"

    first = _demo(tmp_path, "--rows", "600")
    models.write_text(ONE_MODEL, encoding="utf-8")
    second = _demo(
        tmp_path,
        *("--csv", "loans.csv", "--target", "arrears", "--positive", "yes", "--id", "loan_no"),
    )

    assert "DEMO/1: 600 rows" in first
    assert "INSERT INTO dc_batch" in first
    assert "10 of 10 models, stored and loaded again, gave the very same test AUC" in first
    ranked = re.findall(r"^ *\d+ +(\S+) +1 +9\d{3}/\d +0\.\d{4}", first, re.MULTILINE)
    assert sorted(set(ranked)) == ["DL-DNN", "DL-TABNET", "ML-RF", "ML-XGB"]
    assert len(ranked) == 10
    assert re.search(r"^vote +answer +10 ", first, re.MULTILINE)
    assert "LOANS/1: 400 rows, 2 features, 25.0% positive" in second
    assert "5 of 5 models" in second
    assert re.search(r"^ *\d+ +ML-XGB +4 +9001/5 ", second, re.MULTILINE)
    assert models.read_text(encoding="utf-8") == ONE_MODEL


def _demo(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "launcher", "demo", *options],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
