"""Resolve pyproject.toml and write the three lock files; `make lock` runs it.

pip resolves, on a machine where it finds torch's CPU build. A lock names every distribution with
its version and no index, so that it holds wherever one's packages come from.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
CUDA = ("cuda-", "nvidia-cuda-", "nvidia-nv")
"""Libraries whose versions follow torch's CUDA build, so pip finds them where that is installed."""
HEADER = "# Written by `make lock` from pyproject.toml; see docs/decisions/0002-dependencies.md.\n"


def resolve(*what: str) -> dict[str, str]:
    """Distribution to version, without ours and without pip."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), *what]
        subprocess.run(command, check=True, cwd=ROOT)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    names = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in found}
    # torch's CPU build calls itself 2.13.0+cpu; 2.13.0 finds either.
    return {n: v.partition("+")[0] for n, v in names.items() if n not in ("deepcredit", "pip")}


def write(name: str, pins: dict[str, str]) -> None:
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    (ROOT / name).write_text(HEADER + lines, encoding="utf-8")


def main() -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-qq", "-U", "pip"], check=True)
    cpu = resolve(".[cpu]")
    write("requirements.lock", cpu)
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins"
        pins.write_text("".join(f"{n}=={v}\n" for n, v in cpu.items()), encoding="utf-8")
        gpu = resolve("-c", str(pins), ".[gpu]")
        gpu["numba-cuda[cu13]"] = gpu.pop("numba-cuda")
        write(
            "requirements-gpu.lock",
            {n: v for n, v in gpu.items() if not n.startswith(CUDA)},
        )
        everything = resolve("-c", str(pins), "--group", "dev", ".[cpu]")
    write("requirements-dev.lock", {n: v for n, v in everything.items() if n not in cpu})


if __name__ == "__main__":
    main()
