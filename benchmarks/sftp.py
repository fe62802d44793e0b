"""374 model files of 0.5 MB to and from a local sshd, against OpenSSH's own sftp.

Ours verifies the SHA-256 of each file and has the server flush it to its disk; both sides pay for
their connections. Run it from the root of the repository: python -m benchmarks.sftp
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from configs.settings import load
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store
from tests.sshd import SshServer, running_sshd

FILES = 374
BYTES = 500_000
ROUNDS = 5
MOST_RATIO = 1.5


def main() -> int:
    with tempfile.TemporaryDirectory() as name, running_sshd(Path(name, "sshd")) as server:
        folder = Path(name)
        hashes = models(folder / "models")
        seconds: dict[str, list[float]] = {"put": [], "get": [], "sftp put": [], "sftp get": []}
        for number in range(ROUNDS):  # in turn, so that a busy machine is busy for both
            here, there = folder / f"back{number}", f"round{number}"
            here.mkdir()
            seconds["sftp put"].append(
                openssh(server, "put {0}/{2} {1}/{2}\n", folder / "models", server.root)
            )
            seconds["sftp get"].append(openssh(server, "get {1}/{2} {0}/{2}\n", here, server.root))
            seconds["put"].append(ours(server, there, putting(folder / "models")))
            seconds["get"].append(ours(server, there, getting(here, hashes)))
            shutil.rmtree(here)
    best = {name: min(times) for name, times in seconds.items()}
    ratios = [best[way] / best[f"sftp {way}"] for way in ("put", "get")]
    print(f"{FILES} files of {BYTES / 1e6} MB, local sshd, best of {ROUNDS}")
    for way, ratio in zip(("put", "get"), ratios, strict=True):
        print(
            f"{way}: {best[way]:5.2f} s, OpenSSH's sftp {best[f'sftp {way}']:5.2f} s, "
            f"ratio {ratio:.2f} (at most {MOST_RATIO:g} wanted)"
        )
    return 0 if max(ratios) <= MOST_RATIO else 1


def models(folder: Path) -> list[str]:
    """Files named by their number; returns their hashes."""
    folder.mkdir()
    hashes = []
    for number in range(FILES):
        content = os.urandom(BYTES)
        (folder / str(number)).write_bytes(content)
        hashes.append(sha256(content).hexdigest())
    return hashes


def openssh(server: SshServer, line: str, here: Path, there: Path) -> float:
    batch = "".join(line.format(here, there, number) for number in range(FILES))
    began = time.perf_counter()
    subprocess.run(
        [
            "sftp",
            "-q",
            *("-F", "none"),
            *("-b", "-"),
            *("-P", str(server.port)),
            *("-i", str(server.key_file)),
            *("-o", f"UserKnownHostsFile={server.known_hosts}"),
            f"{server.user}@{server.host}",
        ],
        input=batch.encode(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def ours(server: SshServer, folder: str, work: Callable[[Store, int], object]) -> float:
    settings = load(server.settings(folder), environ={}, file=Path("none"))
    began = time.perf_counter()
    store = open_store(settings)
    with ThreadPoolExecutor(settings.sftp_connections) as pool:
        for _ in pool.map(lambda number: work(store, number), range(FILES)):
            pass
    store.close()
    return time.perf_counter() - began


def putting(folder: Path) -> Callable[[Store, int], object]:
    return lambda store, number: store.put(f"models/{number}", folder / str(number))


def getting(folder: Path, hashes: list[str]) -> Callable[[Store, int], object]:
    return lambda store, number: store.get(f"models/{number}", hashes[number], folder / str(number))


if __name__ == "__main__":
    raise SystemExit(main())
