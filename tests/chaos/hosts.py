"""The launchers of a campaign, and what befalls their processes."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ZONES = ("Asia/Seoul", "America/New_York", "UTC", "Pacific/Kiritimati")
CLOCKS = ("+1h", "-1h", None)


@dataclass
class Hosts:
    """Each launcher stands for a host: its clock and its time zone are its own.

    `program`: what starts a launcher; `arguments`: what that is told after the launcher's name.
    """

    env: Mapping[str, str]
    program: Sequence[str]
    arguments: Sequence[str]
    dice: random.Random
    done: Counter[str]
    lease_seconds: float
    clocks: Sequence[str | None] = CLOCKS
    launchers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    stopped: dict[int, float] = field(default_factory=dict)

    def start(self, name: str) -> None:
        skew = skewed(self.dice.choice(self.clocks))
        self.launchers[name] = subprocess.Popen(
            [*self.program, name, *self.arguments],
            env={**self.env, "TZ": self.dice.choice(ZONES), **skew},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.done["launchers started"] += 1
        self.done["with a wrong clock"] += bool(skew)

    def harm(self, *, only_freeze: bool) -> None:
        """A fault by chance. A killed launcher takes longest to be at work again."""
        kills = [] if only_freeze else [self.kill_launcher, *[self.kill_child] * 5]
        self.dice.choice([*kills, *[self.freeze] * 6])()

    def kill_launcher(self) -> None:
        name = self._any()
        self.signal(self.launchers[name].pid, signal.SIGKILL)
        self.launchers[name].wait()
        self.done["launchers killed"] += 1
        self.start(name)

    def kill_child(self) -> None:
        children = [pid for each in self.launchers.values() for pid in _below(each.pid)]
        if children:
            self.signal(self.dice.choice(children), signal.SIGKILL)
            self.done["children killed"] += 1

    def freeze(self) -> None:
        """Stop a launcher, or it and its child, for longer than the lease: a real zombie."""
        launcher = self.launchers[self._any()].pid
        self.stop(self.dice.choice([[launcher], [launcher, *_below(launcher)]]))

    def stop(self, victims: Sequence[int]) -> None:
        until = time.monotonic() + self.lease_seconds * self.dice.uniform(1.2, 2.5)
        for pid in victims:
            self.signal(pid, signal.SIGSTOP)
            self.stopped[pid] = until
        self.done["processes frozen past the lease"] += len(victims)

    def thaw(self, now: float) -> None:
        for pid in [pid for pid, until in self.stopped.items() if until <= now]:
            del self.stopped[pid]
            self.signal(pid, signal.SIGCONT)

    def end(self) -> None:
        self.thaw(float("inf"))  # a frozen child whose launcher is gone would stay for ever
        for launcher in self.launchers.values():
            for pid in [*_below(launcher.pid), launcher.pid]:
                self.signal(pid, signal.SIGKILL)
            launcher.wait()

    def signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self.done["came too late"] += 1

    def _any(self) -> str:
        return self.dice.choice(sorted(self.launchers))


def skewed(clock: str | None) -> dict[str, str]:
    """An environment whose wall clock is wrong, where libfaketime is installed.

    The library is loaded without its wrapper, which would stand between us and the launcher.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if clock is None or not found:
        return {}
    words = {"FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(found[0])} | words


def _below(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
