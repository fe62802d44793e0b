"""The port: files that are put whole or not at all, and verified whenever they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A file in the store. `uri` is relative to the store: models/T12/3/1.f2.ubj"""

    uri: str
    sha256: str
    bytes: int


class Store(Protocol):
    """A model store. Adapters are safe to use from several threads; their str says where it is.

    Every method may raise StoreUnavailable (try again), StoreRefused (credentials, host key,
    permission) or BadSetting (a uri that leaves the store, or that cannot name a file).
    """

    def put(self, uri: str, source: Path) -> Stored:
        """Copy `source` to `uri`, replacing what is there. Readers see the old file or the new
        one, never a part; once it returns, the file survives a power cut. Raises StoreFull when
        there is no space. A put that fails leaves nothing behind, one that is killed, or whose
        server stood still, may leave files whose names end in .tmp.
        """
        ...

    def get(self, uri: str, sha256: str, target: Path) -> None:
        """Copy `uri` to `target`, which appears only once its SHA-256 was checked.

        Raises ArtifactMissing, ArtifactDamaged when the hash differs, or DiskFull for `target`.
        """
        ...

    def delete(self, uri: str) -> None:
        """Remove `uri`; a file that is not there is no error. Tried once, whatever the patience: by
        a second try a run may have put the file again.
        """
        ...

    def walk(self, prefix: str = "") -> Iterator[str]:
        """Every uri below the folder `prefix`, in no order, unfinished uploads included, but
        nothing of folders lost+found: only root may look into them.
        """
        ...

    def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """As `walk`, each with its bytes."""
        ...

    def check(self) -> str:
        """Write, read and delete a small file; return one line that says where the store is."""
        ...

    def close(self) -> None: ...
