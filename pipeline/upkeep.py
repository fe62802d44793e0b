"""The model store held against the database: what is missing, and what nobody needs."""

from dataclasses import dataclass

from pipeline.context import Read
from pipeline.marks import is_mark
from pipeline.orphans import Orphan, Sorted, may_run, sort_out
from storage import named_files
from storage.artifacts.port import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    files: int
    bytes: int
    missing: tuple[str, ...]
    """Named by the database, and not in the store."""
    sorted: Sorted


def survey(store: Store, read: Read) -> Findings:
    """Walk the whole store.

    Launchers may be at work: see `sort_out` for why the order of the reads matters. A file is
    missing only if it was named both before and after the walk.
    """
    before = read(named_files.uris)
    files = [(uri, size) for uri, size in store.sizes() if not is_mark(uri)]
    running = read(named_files.running)
    named = read(named_files.uris)
    there = {uri for uri, _ in files}
    return Findings(
        files=len(files),
        bytes=sum(size for _, size in files),
        missing=tuple(sorted((before & named) - there)),
        sorted=sort_out(sorted(files), named, running),
    )


def remove(store: Store, orphan: Orphan, read: Read) -> bool:
    """Delete an orphan; False: since the survey a run began that may use it, or has named it."""
    if may_run(orphan.owner, read(named_files.running)):
        return False
    # A name with a fence is given once; a file without one may have been put once more.
    if orphan.owner.fence is None and read(lambda c: named_files.is_named(c, orphan.uri)):
        return False
    store.delete(orphan.uri)
    return True
