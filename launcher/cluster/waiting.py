"""Waiting until a scheduler knows the workers that were started."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from configs.cluster import Cluster
from configs.errors import ClusterUnavailable
from configs.wording import counted
from launcher.cluster.look import NoAnswer, Picture, Worker, look
from launcher.cluster.plan import Process
from launcher.cluster.ssh import ask, ask_all

Say = Callable[[float, str], None]
"""Is told the share that is done, and what was done."""

_PAUSE_SECONDS = 0.5
_ALIVE_EVERY_SECONDS = 5.0


def wait(
    cluster: Cluster,
    address: str,
    certificates: Mapping[str, str] | None,
    processes: Mapping[str, tuple[Process, ...]],
    names: set[str],
    deadline: float,
    say: Say,
) -> Picture:
    """Until the scheduler knows these workers. If one of the processes, which were just started by
    the host's name, dies or is ended meanwhile, that ends the wait.
    """
    checked = time.monotonic()
    missing = names
    while True:
        try:
            picture = look(address, certificates, patience=_ALIVE_EVERY_SECONDS)
        except NoAnswer:
            problem = f"the scheduler at {address} does not answer"
        else:
            missing = names - {worker.name for worker in picture.workers}
            if not missing:
                return picture
            to_come = counted(len(missing), "worker")
            say(0.4 + 0.6 * (1 - len(missing) / len(names)), f"{to_come} to come")
            problem = f"no sign of the workers {', '.join(sorted(missing))}"
        now = time.monotonic()
        if now > deadline or now - checked > _ALIVE_EVERY_SECONDS:
            checked = now
            if dead := _dead(cluster, processes):
                raise ClusterUnavailable("; ".join(dead))
        if now > deadline:
            raise ClusterUnavailable(
                f"{problem} after {cluster.start_seconds:.0f} s; is a firewall in between? "
                "Logs are in the folder `folder` of each host"
            )
        time.sleep(_PAUSE_SECONDS)


def wait_until_gone(
    address: str,
    certificates: Mapping[str, str] | None,
    workers: Sequence[Worker],
    deadline: float,
) -> None:
    """Until the scheduler does not know these workers any more, which leave."""
    addresses = {worker.address for worker in workers}
    while left := [
        each for each in look(address, certificates).workers if each.address in addresses
    ]:
        if time.monotonic() > deadline:
            places = ", ".join(f"{each.name} at {each.host}" for each in left)
            raise ClusterUnavailable(
                f"{places}: told to leave, and not gone yet; `deepcredit cluster start` again when "
                "`deepcredit cluster status` shows it no more"
            )
        time.sleep(_PAUSE_SECONDS)


def _dead(cluster: Cluster, processes: Mapping[str, tuple[Process, ...]]) -> list[str]:
    answers, errors = ask_all(
        (host for host in cluster.hosts if host.name in processes),
        lambda host: ask(host, cluster.known_hosts, {"action": "look"}),
    )
    # Others may have ended because all of their workers were told to.
    found = {(name, each["name"]): each for name, few in answers.items() for each in few}
    died = (
        _end_of(name, process.name, found.get((name, process.name)))
        for name in answers
        for process in processes[name]
    )
    return [*errors.values(), *filter(None, died)]


def _end_of(host: str, process: str, told: Mapping[str, Any] | None) -> str | None:
    """Why a process that was started does not run; None: it does."""
    if told is None:
        return f"{host}: {process} was ended by `deepcredit cluster stop` meanwhile"
    if told["alive"]:
        return None
    why = told["why"] or "it said nothing"
    return f"{host}: {process} died: {why}; its log is {told['log']} there"
