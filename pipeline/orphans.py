"""Which files of the model store nobody needs: a pure decision on names.

Files of a run bear its batch and its fence; others are named by their content and may be shared by
any run. A name that none of ours has is nobody's business here.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from pipeline.run_files import fence_of, is_picture, is_shared, writer_of
from storage.artifacts.probe import PREFIX
from storage.artifacts.uris import UNFINISHED

_UNFINISHED = re.compile(rf"\.[0-9a-f]{{32}}{re.escape(UNFINISHED)}$")
_PROBE = re.compile(rf"^{re.escape(PREFIX)}[0-9a-f]+$")


class Why(Enum):
    """Why a file is not needed."""

    DEAD_RUN = "left by a run that is over"
    UNFINISHED = "its upload never ended"
    UNUSED = "nothing names it"


@dataclass(frozen=True, slots=True)
class Owner:
    """The run whose file it is. `fence` None: any run of the batch; `batch_id` None: any run."""

    batch_id: int | None
    fence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    uri: str
    owner: Owner
    bytes: int
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Every file of a store that the database does not name, by what may be done with it."""

    orphans: tuple[Orphan, ...]
    in_use: tuple[str, ...]
    """Unnamed, but a run may be writing or reading it."""
    foreign: tuple[str, ...]
    """Not named as ours are."""


def sort_out(
    files: Iterable[tuple[str, int]], named: AbstractSet[str], running: Mapping[int, int]
) -> Sorted:
    """`files`: with their bytes; `named`: uris in the database; `running`: the fence of
    each batch in U.

    It holds if the files were listed first, then `running` was read, and `named` last: a run that
    was over by then had committed all that it ever will, and one that began later wrote nothing
    that was listed.
    """
    orphans, in_use, foreign = [], [], []
    for uri, size in files:
        if uri in named:
            continue
        owner = owner_of(uri)
        if owner is None:
            foreign.append(uri)
        elif may_run(owner, running):
            in_use.append(uri)
        else:
            orphans.append(Orphan(uri=uri, owner=owner, bytes=size, why=_why(uri, owner)))
    return Sorted(orphans=tuple(orphans), in_use=tuple(in_use), foreign=tuple(foreign))


def owner_of(uri: str) -> Owner | None:
    """Who may write a file of this name, also while it is being uploaded; None: it is not ours."""
    uri = _UNFINISHED.sub("", uri)
    writer, fence = writer_of(uri), fence_of(uri)
    if writer is not None and (fence is not None or is_picture(uri)):
        return Owner(writer, fence)
    return Owner(None) if is_shared(uri) or _PROBE.search(uri) else None


def may_run(owner: Owner, running: Mapping[int, int]) -> bool:
    """Whether a run that may write the file, or use it, is under way."""
    if owner.batch_id is None:
        return bool(running)
    fence = running.get(owner.batch_id)
    return fence is not None and owner.fence in (None, fence)


def _why(uri: str, owner: Owner) -> Why:
    if _UNFINISHED.search(uri):
        return Why.UNFINISHED
    return Why.UNUSED if owner.fence is None else Why.DEAD_RUN
