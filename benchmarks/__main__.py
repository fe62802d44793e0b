"""`make bench`: every benchmark in turn, each in a process of its own; names run only those."""

import subprocess
import sys
import time
from pathlib import Path

from configs import plugins

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent


def main() -> int:
    known = plugins.modules_in(FOLDER)
    chosen = sys.argv[1:] or known
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        print(f"error: no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False)
        print(f"   {time.monotonic() - started:.0f} s\n", flush=True)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
