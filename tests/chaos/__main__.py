"""Fault injection on the batch table, by command; prints what it did and what it found.

python -m tests.chaos --batches 10000 --launchers 8 --seed 1
python -m tests.chaos --batches 60 --guard state --lingering 0.8 --longest 3

The second line is the negative control: it must find violations.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign, Plan
from tests.mariadb import running_mariadb


def main() -> int:
    parser = argparse.ArgumentParser(description="Fault injection on the batch table.")
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--launchers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guard", choices=["claim", "state", "id"], default="claim")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--lingering", type=float, default=0.12)
    parser.add_argument("--longest", type=float, default=1.0)
    arguments = parser.parse_args()
    # Under a weaker guard some batches never end.
    limit = 3600.0 if arguments.guard == "claim" else 90.0
    plan = Plan(**vars(arguments), limit_seconds=limit)
    with tempfile.TemporaryDirectory() as name, running_mariadb(Path(name, "mariadb")) as server:
        report = Campaign(plan, server, Path(name), _tell).run()
    print(plan)
    print("\n".join(report.lines()))
    if plan.guard == "claim":
        return 1 if report.broken else 0
    print("negative control:", "violations found, as it must" if report.broken else "FOUND NOTHING")
    return 0 if report.broken else 1


def _tell(line: str) -> None:
    print(f"\r{line[:150]:150}", end="", file=sys.stderr, flush=True)


sys.exit(main())
