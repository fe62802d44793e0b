"""Fault injection on the batch table, by command; prints what it did and what it found.

python -m tests.chaos queue --batches 10000 --launchers 8 --seed 1
python -m tests.chaos queue --batches 200 --guard state
python -m tests.chaos train --batches 20 --seed 1

The second line is a negative control: it must find violations. The third trains for real.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.plan import CONTROLS, Plan
from tests.chaos.training import Training
from tests.mariadb import DURABLE, running_mariadb
from tests.sshd import running_sshd


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(required=True)
    queue = commands.add_parser("queue", help="no-op batches by the thousand")
    queue.add_argument("--batches", type=int, default=10_000)
    queue.add_argument("--launchers", type=int, default=8)
    queue.add_argument("--seed", type=int, default=1)
    queue.add_argument("--guard", choices=["claim", *CONTROLS], default="claim")
    queue.add_argument("--troubles", type=int, default=12, help="of the whole database")
    queue.set_defaults(run=fight)
    training = commands.add_parser("train", help="real train batches, equal to undisturbed ones")
    training.add_argument("--batches", type=int, default=20)
    training.add_argument("--seed", type=int, default=1)
    training.set_defaults(run=train)
    arguments = vars(parser.parse_args())
    run = arguments.pop("run")
    with tempfile.TemporaryDirectory() as name:
        return int(run(Path(name), **arguments))


def fight(folder: Path, *, guard: str, troubles: int, launchers: int, **choices: int) -> int:
    weak = guard in CONTROLS
    claimable = max(2, launchers // 2)
    plan = Plan(
        guard=guard,
        launchers=launchers,
        troubles=0 if weak else troubles,
        until_broken=weak,
        **{"claimable": claimable} | choices | CONTROLS.get(guard, {}),
    )
    with (
        running_mariadb(folder / "mariadb", DURABLE) as server,
        running_sshd(folder / "sshd") as sshd,
    ):
        report = Campaign(plan, server, sshd, folder, _tell).run()
    print(f"\r{plan}")
    print("\n".join(report.lines()))
    if not weak:
        return 1 if report.broken else 0
    print("negative control:", "violations found, as it must" if report.broken else "FOUND NOTHING")
    return 0 if report.broken else 1


def train(folder: Path, *, batches: int, seed: int) -> int:
    with (
        running_mariadb(folder / "mariadb", DURABLE) as server,
        running_sshd(folder / "sshd") as sshd,
    ):
        done = Training(server, sshd, folder, batches=batches, seed=seed, tell=_tell).run()
    print("\n".join(["\r", *done.lines()]))
    return 1 if done.broken else 0


def _tell(line: str) -> None:
    print(f"\r{line[:150]:150}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
