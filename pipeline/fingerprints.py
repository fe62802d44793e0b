"""Fingerprints, hashes of what determines numbers: with the same one they are not made again."""

import hashlib
import json
from typing import Any

REVISION = 1
"""Of what DeepCredit itself computes. Raise it by one, and say so in the changelog, with a change
that gives other numbers for the same rows, parameters and libraries: of a fit, resampling, a
threshold, a metric or a vote. A batch that is run again is then computed anew. Splits and prepared
rows need it not: the hashes of their files are in the fingerprints.
"""


def of(**determined_by: Any) -> str:
    """Of values that JSON can hold."""
    return of_text(json.dumps(determined_by, sort_keys=True))


def of_text(determined_by: str) -> str:
    # What was computed before there were revisions is of the first.
    revision = f" revision {REVISION}" if REVISION > 1 else ""
    return hashlib.sha256(f"{determined_by}{revision}".encode()).hexdigest()
