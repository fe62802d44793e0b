"""Files of models as released versions wrote them, which must load for ever. For a new kind:

    python -m tests.released ML-NEW '{"n_estimators": 5}'

writes one and the scores that it gives, for the version that is installed. Parameters that make it
small are welcome.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models import kind

RELEASED = Path(__file__).parent / "unit" / "released"


def write(model_id: str, params: dict[str, Any], folder: Path) -> Path:
    """Fit a model and leave KIND.model and KIND.npy, its scores of `rows.npy`, in a folder.

    Raises:
        FileExistsError: one is there; it is of a version that was released, so it stays.
    """
    path = folder / f"{model_id}.model"
    if path.exists():
        raise FileExistsError(f"{path} is there; what a version wrote is never redone")
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    X = random.normal(size=(60, 4)).astype(np.float32)
    if not (folder / "rows.npy").exists():
        np.save(folder / "rows.npy", random.normal(size=(20, 4)).astype(np.float32))
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    built = kind.estimators(model_id).build(kind.find(model_id).check(params), seed=1, device="cpu")
    model = built.fit(X, (X[:, 0] > 0).astype(np.int8))
    model.save(path)
    np.save(path.with_suffix(".npy"), kind.scores_of(model, rows))
    return path


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    params = json.loads(sys.argv[2]) if len(sys.argv) == 3 else {}
    print(write(sys.argv[1], params, RELEASED / version("deepcredit")))
