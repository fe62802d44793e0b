"""Compile what our modules import, by importing it: a fraction of all that is installed.

Without this, every process compiles for itself where PYTHONDONTWRITEBYTECODE is set.
"""

import pkgutil
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("configs", "storage", "models", "ensemble", "pipeline", "launcher")


def main() -> None:
    sys.dont_write_bytecode = False
    sys.path.insert(0, str(ROOT))
    for name in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / name)], f"{name}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):  # of an extra that is not installed
                    import_module(module.name)


if __name__ == "__main__":
    main()
