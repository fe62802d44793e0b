"""Which processes run on which host: their command lines. It asks nobody: what it must know it is
given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configs.cluster import Cluster, Host
from launcher.cluster.checks import check_addresses, check_room, check_versions
from launcher.cluster.facts import Facts
from launcher.cluster.names import worker_names
from launcher.host.addresses import of_pages

_KEPT = ("-P", "-m", "launcher.host.keep", "-P", "-m", "launcher")  # started again when they end
_TLS = ("--certificates", ".")  # `start` writes them into the folder that processes run in


@dataclass(frozen=True, slots=True)
class Process:
    """A process to start: `words` follow the Python of the host; `workers` are Dask's names;
    `listens` is the address that must be free for it.
    """

    name: str
    words: tuple[str, ...]
    workers: tuple[str, ...] = ()
    listens: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "words": list(self.words), "listens": self.listens}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster consists of."""

    address: str
    scheduler: Process
    workers: Mapping[str, tuple[Process, ...]]
    """Processes by the host's name."""

    @property
    def names(self) -> set[str]:
        """Dask's names of all workers."""
        return {name for host in self.workers.values() for each in host for name in each.workers}


def make_plan(cluster: Cluster, facts: Mapping[str, Facts]) -> Plan:
    """Decide what runs where.

    Raises:
        ClusterUnavailable: hosts differ from here, or from each other, in versions.
        BadSetting: a host has fewer cores or cards or less memory than wanted, or an address that
            none can reach.
    """
    check_versions(facts)
    check_addresses(facts)
    wanted = {host.name: _worker_count(host, facts[host.name]) for host in cluster.hosts}
    check_room(cluster.hosts, facts, wanted)
    ip = facts[cluster.scheduler.name].ip
    address = address_of(cluster, ip)
    return Plan(
        address,
        _scheduler(cluster, ip, address),
        {
            host.name: tuple(_workers(host, facts[host.name], address, wanted[host.name]))
            for host in cluster.hosts
        },
    )


def more_workers(
    cluster: Cluster, facts: Mapping[str, Facts], wanted: Mapping[str, int], address: str
) -> dict[str, Process]:
    """What to start where there are fewer workers without a card than `wanted`, by the host's name.

    `facts`: also of other hosts, if they answer: they may be names of the same machines.

    Raises:
        ClusterUnavailable: a host that is to have more differs from here in versions.
        BadSetting: its machine has not the cores or the memory for what it is to run.
    """
    growing = [
        (host, has, wanted[host.name])
        for host in cluster.hosts
        if host.name in wanted and wanted[host.name] > (has := facts[host.name]).staying
    ]
    check_versions({host.name: has for host, has, _ in growing})
    machines = {has.machine for _, has, _ in growing}
    there = [each for each in cluster.hosts if each.name in facts]
    concerned = [host for host in there if facts[host.name].machine in machines]
    planned = {host.name: _worker_count(host, facts[host.name]) for host in concerned}
    check_room(concerned, facts, planned | dict(wanted))
    return {
        host.name: _cpu_workers(host, has, address, number - has.staying, has.free_name)
        for host, has, number in growing
    }


def address_of(cluster: Cluster, ip: str) -> str:
    """The address of a scheduler on a host with this IP address."""
    protocol = "tls" if cluster.certificates else "tcp"
    return f"{protocol}://{_bracketed(ip)}:{cluster.scheduler_port}"


def _scheduler(cluster: Cluster, ip: str, address: str) -> Process:
    words = [
        *(*_KEPT, "scheduler", address, *_tls(address)),
        *("--", "--dashboard-address", of_pages(ip, cluster.dashboard_port)),
    ]
    return Process("scheduler", tuple(words), listens=address)


def _workers(host: Host, has: Facts, address: str, count: int) -> list[Process]:
    """One process that nurses all workers without a card, or several on a host that was scaled, and
    one for each card.
    """
    counts = _by_process(has, count).items()
    found = [_cpu_workers(host, has, address, number, name) for name, number in counts if number]
    share = has.fits_a_card(host)
    cards = [str(number) for number in range(host.gpus)]
    return found + [
        _process(host, has, address, f"gpu{card}", ("--gpu", card), share) for card in cards
    ]


def _by_process(has: Facts, count: int) -> dict[str, int]:
    """How many workers each process is, or was, started with."""
    if has.wanted is None:
        return {"cpu": count}
    found = {name: started for name, (started, _) in has.running.items()}
    if has.wanted > has.staying:
        found[has.free_name] = has.wanted - has.staying
    return found


def _cpu_workers(host: Host, has: Facts, address: str, count: int, name: str) -> Process:
    """A process that nurses `count` workers without a card."""
    return _process(host, has, address, name, ("--workers", str(count)), host.threads, count)


def _process(
    host: Host,
    has: Facts,
    address: str,
    name: str,
    kind: tuple[str, str],
    threads: int,
    count: int = 1,
) -> Process:
    tags = dict.fromkeys(host.tags, 1.0) | dict(host.resources)
    words = [
        *(*_KEPT, "worker", address, *_tls(address), "--name", f"{host.name}-{name}", *kind),
        *("--threads", str(threads), "--memory-limit", f"{has.limit_mb(host, threads):.0f}MiB"),
        *(word for tag, much in tags.items() for word in ("--tag", f"{tag}={much:.10g}")),
        *("--", "--host", f"{address.partition(':')[0]}://{_bracketed(has.ip)}"),
        *("--local-directory", "scratch", "--no-dashboard"),
    ]
    return Process(name, tuple(words), worker_names(host.name, name, count))


def _worker_count(host: Host, has: Facts) -> int:
    if has.wanted is not None:
        return max(has.wanted, has.staying)
    if host.workers is not None:
        return host.workers
    for_cards = host.gpus * has.fits_a_card(host)
    return max(0, (has.cores - for_cards) // host.threads)


def _tls(address: str) -> tuple[str, ...]:
    return _TLS if address.startswith("tls://") else ()


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
