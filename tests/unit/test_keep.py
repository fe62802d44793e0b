"""What the keeper of a process starts again."""

import json

import pytest

from launcher import keep

# Notes its words; the first time one worker is told to leave, then all that are left.
CHILD = """
import json, os, sys
from pathlib import Path
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
left, name = int(words["--workers"]), words["--name"]
seen, retired = Path("seen"), Path(os.environ["CLUSTER_WORKERS_RETIRED"])
first = not seen.exists()
with seen.open("a") as file:
    print(json.dumps([left, name, retired.read_text()]), file=file)
names = [name] if left == 1 else [f"{name}-{n}" for n in range(left)]
with retired.open("a") as file:
    file.writelines(f"{each}\\n" for each in (names[:1] if first else names))
"""


@pytest.mark.parametrize(
    ("workers", "again"), [(3, [2, "one-cpu", "one-cpu-2\n"]), (2, [1, "one-cpu-0", "one-cpu-1\n"])]
)
def test_workers_that_were_told_to_leave_do_not_come_back(tmp_path, monkeypatch, workers, again):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keep, "_SETTLED_SECONDS", 0)
    words = ["-c", CHILD, "--name", "one-cpu", "--workers", str(workers)]

    assert keep._Keeper(words).run() == 0

    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert seen == [[workers, "one-cpu", ""], again]
    assert not list(tmp_path.glob("retired.*"))
