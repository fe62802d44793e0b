"""What happens to workers while a batch runs, for its log."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from distributed import Client

from launcher.cluster.leaving import LEAVING, TOPIC
from launcher.cluster.shield import DIED, STUCK

log = structlog.get_logger(__name__)


def watch(client: Client) -> None:
    """Log from now on which workers are lost, leave or join."""
    client.subscribe_topic(TOPIC, _told)


def forget(client: Client) -> None:
    """Before a client closes: the scheduler complains of events that it cannot deliver."""
    client.unsubscribe_topic(TOPIC)


def _told(event: tuple[float, Any]) -> None:
    _, what = event
    if isinstance(what, Mapping) and (tell := _TELL.get(what.get("action", ""))):
        tell(what)


def _removed(what: Mapping[str, Any]) -> None:
    if what["expected"]:
        log.info("worker left the cluster", worker=what["worker"])
        return
    log.warning(
        "worker lost; what it ran is done again on others",
        worker=what["worker"],
        running=len(what["processing-tasks"]),
        results_lost=len(what["lost-computed-tasks"]),
    )


def _joined(what: Mapping[str, Any]) -> None:
    log.info("worker joined the cluster", worker=what["worker"])


def _leaving(what: Mapping[str, Any]) -> None:
    log.info(
        "worker ends after what it runs; nothing else begins there",
        worker=what["worker"],
        why=what["why"],
    )


def _stuck(what: Mapping[str, Any]) -> None:
    log.warning(
        "a task waits for what does not come; its worker ends, and it is tried again",
        worker=what["worker"],
        where=" ".join(map(str.strip, what["where"])),
    )


def _died(what: Mapping[str, Any]) -> None:
    log.warning(
        "the process of a task is lost; its worker ends, too, and it is tried again",
        worker=what["worker"],
        why=what["why"],
    )


_TELL: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "remove-worker": _removed,
    "add-worker": _joined,
    LEAVING: _leaving,
    STUCK: _stuck,
    DIED: _died,
}
