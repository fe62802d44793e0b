"""Modules that are found by listing their folder, or that only some processes need: imported by
name where they are needed.

A model library takes hundreds of megabytes and seconds to import, and whoever merely hands out
work has no use for it. No import statement leads there, so no process pays by accident.
"""

import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_LOCK = threading.RLock()


def modules_in(folder: Path) -> tuple[str, ...]:
    """Their names, sorted; a new one is a new file. One whose name begins with _ is none."""
    names = (path.stem for path in folder.glob("*.py"))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def load(name: str) -> ModuleType:
    """Import a module of ours; one thread at a time, for libraries import themselves in circles,
    and who comes between finds half of them.
    """
    with _LOCK:
        collecting = gc.isenabled()
        gc.disable()  # what is imported stays: looking for garbage in it takes a tenth of the time
        try:
            return importlib.import_module(name)
        finally:
            if collecting:
                gc.enable()


@contextmanager
def without(library: str) -> Iterator[None]:
    """Inside, `library` cannot be imported, unless it was before: for what others import wherever
    it is installed, and can do without.
    """
    with _LOCK:
        if library in sys.modules:
            yield
            return
        sys.modules[library] = None  # type: ignore[assignment] # for Python: there is none
        try:
            yield
        finally:
            del sys.modules[library]
