"""Finding what there is: what hosts have, over SSH, and the cluster that runs on them."""

from collections.abc import Iterable
from dataclasses import fields

from configs.cluster import Cluster, Host
from configs.errors import ClusterUnavailable
from launcher.cluster.certificates import read
from launcher.cluster.facts import Facts
from launcher.cluster.look import Picture, look
from launcher.cluster.names import host_of
from launcher.cluster.plan import address_of
from launcher.cluster.ssh import ask, ask_all


def find(cluster: Cluster) -> Picture:
    """The cluster as its scheduler sees it.

    Raises:
        ClusterUnavailable: the scheduler's host or the scheduler does not answer.
    """
    host = cluster.scheduler
    ip = host.address
    if host.interface or not _is_ip(ip):
        ip = _facts(cluster, host).ip
    return look(address_of(cluster, ip), read(cluster.certificates))


def without_workers(cluster: Cluster, picture: Picture) -> list[Host]:
    """Hosts that are to have some, and of which the scheduler knows none."""
    there = {host_of(worker.name) for worker in picture.workers}
    return [
        host
        for host in cluster.hosts
        if (host.workers != 0 or host.gpus) and host.name not in there
    ]


def left_out(cluster: Cluster, picture: Picture) -> list[str]:
    """A line for each host that should have workers and has none: how it stands, what to do."""
    hosts = {host.name: host for host in without_workers(cluster, picture)}
    answers, errors = facts_of(cluster, hosts.values())
    return [
        *(f"no worker of {name} is there{_why(hosts[name], has)}" for name, has in answers.items()),
        *(
            f"{error}; no worker is there; `deepcredit cluster start` when it is back"
            for error in errors.values()
        ),
    ]


def _why(host: Host, has: Facts) -> str:
    """Why none of its workers is there, as far as the host can tell, and what to do."""
    if has.staying:
        logs = f"{host.folder}/{host.name}/logs"
        return f", but their process runs and tries again; if none comes, see its log in {logs}"
    if has.wanted == 0 and not host.gpus:
        return f": it was scaled to none; `deepcredit cluster scale {host.name}=N` brings N"
    return "; `deepcredit cluster start`"


def facts_of(cluster: Cluster, hosts: Iterable[Host]) -> tuple[dict[str, Facts], dict[str, str]]:
    """What each of these hosts has, and why one does not say so, by the host's name."""
    return ask_all(hosts, lambda host: _facts(cluster, host))


def _facts(cluster: Cluster, host: Host) -> Facts:
    request = {"action": "facts", "interface": host.interface, "env_file": host.env_file}
    told = ask(host, cluster.known_hosts, request)
    # An agent of another version may tell more or less; that it is another is said by `start`.
    known = {field.name: told[field.name] for field in fields(Facts) if field.name in told}
    try:
        return Facts(**known)
    except TypeError:
        version = told.get("versions", {}).get("deepcredit", "unknown")
        raise ClusterUnavailable(
            f"{host.name} has deepcredit {version}, which is too old for the one here; install the "
            "same version everywhere"
        ) from None


def _is_ip(text: str) -> bool:
    return text.replace(".", "").isdigit() or ":" in text
