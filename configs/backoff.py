"""How long to wait before what has failed is tried again."""

import random
from collections.abc import Iterator


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds, without end: doubling up to `longest`, each with jitter of up to half, so that those
    whom one failure has struck do not come back as one.
    """
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        pause = min(2 * pause, longest)
