"""Names of the workers that `start` starts: `one-cpu`; `one-cpu-0` and `one-cpu-1` where a process
has several; `one-cpu1` of a process that `scale` added; `one-gpu0` for a card.
"""

import re

_NAME = re.compile(r"(?P<host>.+)-(?:cpu\d*(?:-\d+)?|(?P<card>gpu\d+))")


def worker_names(host: str, process: str, workers: int) -> tuple[str, ...]:
    """Dask numbers the workers of a process, but not a single one."""
    label = f"{host}-{process}"
    return (label,) if workers == 1 else tuple(f"{label}-{number}" for number in range(workers))


def host_of(worker: str) -> str | None:
    """The host's name; None: it is not named as ours are."""
    named = _NAME.fullmatch(worker)
    return named["host"] if named else None


def has_card(worker: str) -> bool:
    """Whether one of ours has a card."""
    named = _NAME.fullmatch(worker)
    return bool(named and named["card"])
