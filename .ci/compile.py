"""Compile what our modules import, by importing it: a fraction of all that is installed.

Two processes, for two cores: torch's compiler, which its optimisers import, and everything else.
Without this, every process compiles for itself where PYTHONDONTWRITEBYTECODE is set.
"""

import os
import pkgutil
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("configs", "storage", "models", "ensemble", "pipeline", "launcher")


def main() -> None:
    if "--import" in sys.argv:
        sys.path.insert(0, str(ROOT))
        folders = [str(ROOT / name) for name in PACKAGES]
        for folder, name in zip(folders, PACKAGES, strict=True):
            for module in pkgutil.walk_packages([folder], f"{name}."):
                if not module.name.endswith("__main__"):
                    with suppress(ImportError):  # of an extra that is not installed
                        import_module(module.name)
        return
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    other = subprocess.Popen([sys.executable, "-c", "import torch._dynamo"], env=env)
    subprocess.run([sys.executable, __file__, "--import"], env=env, check=True)
    if other.wait():
        sys.exit(other.returncode)


if __name__ == "__main__":
    main()
