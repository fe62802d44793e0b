"""Which processes run on which host: their command lines. It asks nobody: what it must know it is
given.
"""

import ipaddress
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster.placement import fits_a_card, limit_mb
from launcher.versions import differences, versions

_KEPT = ("-P", "-m", "launcher.keep", "-P", "-m", "launcher")  # started again when they end
_TLS = ("--certificates", ".")  # `start` writes them into the folder that processes run in


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host told about itself; `machine` is one for all names of a machine. `wanted` and
    `running` are of workers without a card: how many `scale` asked for, and by the name of each
    process how many were started and how many of them stay.
    """

    machine: str
    cores: int
    gpus: int
    memory_mb: int
    ip: str
    versions: Mapping[str, str]
    wanted: int | None = None
    running: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def staying(self) -> int:
        return sum(stay for _, stay in self.running.values())

    @property
    def free_name(self) -> str:
        """For one more process of workers without a card."""
        names = (f"cpu{number}" for number in itertools.count(1))
        return next(name for name in names if name not in self.running)


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
    _check_versions(facts)
    _check_addresses(facts)
    wanted = {host.name: _worker_count(host, facts[host.name]) for host in cluster.hosts}
    _check_room(cluster.hosts, facts, wanted)
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


def address_of(cluster: Cluster, ip: str) -> str:
    """Of a scheduler on a host with this address."""
    protocol = "tls" if cluster.certificates else "tcp"
    return f"{protocol}://{_bracketed(ip)}:{cluster.scheduler_port}"


def _scheduler(cluster: Cluster, ip: str, address: str) -> Process:
    dashboard = "localhost" if ":" in ip else ip  # Dask takes no IPv6 address for it
    words = [
        *(*_KEPT, "scheduler", address, *_tls(address)),
        *("--", "--dashboard-address", f"{dashboard}:{cluster.dashboard_port}"),
    ]
    return Process("scheduler", tuple(words), listens=address)


def _workers(host: Host, has: Facts, address: str, count: int) -> list[Process]:
    """One process that nurses all workers without a card, or several on a host that was scaled, and
    one for each card.
    """
    counts = _by_process(has, count).items()
    found = [cpu_workers(host, has, address, number, name) for name, number in counts if number]
    share = _fits_a_card(host, has)
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


def cpu_workers(host: Host, has: Facts, address: str, count: int, name: str) -> Process:
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
    label = f"{host.name}-{name}"
    tags = dict.fromkeys(host.tags, 1.0) | dict(host.resources)
    words = [
        *(*_KEPT, "worker", address, *_tls(address), "--name", label, *kind),
        *("--threads", str(threads), "--memory-limit", f"{_limit_mb(host, has, threads):.0f}MiB"),
        *(word for tag, much in tags.items() for word in ("--tag", f"{tag}={much:.10g}")),
        *("--", "--host", f"{address.partition(':')[0]}://{_bracketed(has.ip)}"),
        *("--local-directory", "scratch", "--no-dashboard"),
    ]
    # Dask numbers the workers of a process, but not a single one.
    names = [label] if count == 1 else [f"{label}-{number}" for number in range(count)]
    return Process(name, tuple(words), tuple(names))


def _limit_mb(host: Host, has: Facts, threads: int) -> float:
    """Memory of a worker."""
    return limit_mb(host.memory_limit, threads, has.cores, has.memory_mb)


def _fits_a_card(host: Host, has: Facts) -> int:
    return fits_a_card(has.cores, host.gpus) if host.fits_per_gpu is None else host.fits_per_gpu


def _worker_count(host: Host, has: Facts) -> int:
    if has.wanted is not None:
        return max(has.wanted, has.staying)
    if host.workers is not None:
        return host.workers
    for_cards = host.gpus * _fits_a_card(host, has)
    return max(0, (has.cores - for_cards) // host.threads)


def _check_room(
    hosts: Sequence[Host], facts: Mapping[str, Facts], wanted: Mapping[str, int]
) -> None:
    problems = []
    for machine in dict.fromkeys(each.machine for each in facts.values()):
        here = [host for host in hosts if facts[host.name].machine == machine]
        names, has = ", ".join(host.name for host in here), facts[here[0].name]
        threads = sum(_threads(host, has, wanted[host.name]) for host in here)
        if threads > has.cores:
            problems.append(
                f"{names}: workers times threads are {threads}, but there are {has.cores} cores; "
                "set workers or threads lower"
            )
        memory = sum(_memory_mb(host, has, wanted[host.name]) for host in here)
        if memory > has.memory_mb + 1:  # of what is in proportion to threads, rounded
            problems.append(
                f"{names}: workers times memory_limit are {memory:,.0f} MiB, but there are "
                f"{has.memory_mb:,} MiB; set workers or memory_limit lower"
            )
    problems += [
        f"{host.name}: gpus asks for more than the {facts[host.name].gpus} cards that it may see"
        for host in hosts
        if host.gpus > facts[host.name].gpus
    ]
    if problems:
        raise BadSetting("; ".join(problems))


def check_fits(host: Host, has: Facts, workers: int) -> None:
    """Raises BadSetting: so many workers without a card are too many for the host."""
    _check_room([host], {host.name: has}, {host.name: workers})


def _threads(host: Host, has: Facts, workers: int) -> int:
    return workers * host.threads + host.gpus * _fits_a_card(host, has)


def _memory_mb(host: Host, has: Facts, workers: int) -> float:
    """What all workers of a host may use."""
    share = _fits_a_card(host, has)
    return workers * _limit_mb(host, has, host.threads) + host.gpus * _limit_mb(host, has, share)


def _check_versions(facts: Mapping[str, Facts]) -> None:
    here = versions()
    problems = [
        f"{name} has {', '.join(found)}"
        for name, each in facts.items()
        if (found := differences(here, each.versions))
    ]
    if problems:
        raise ClusterUnavailable(f"{'; '.join(problems)}; install the same versions everywhere")


def _check_addresses(facts: Mapping[str, Facts]) -> None:
    if len({each.machine for each in facts.values()}) < 2:
        return
    for name, each in facts.items():
        if ipaddress.ip_address(each.ip.partition("%")[0]).is_loopback:
            raise BadSetting(
                f"{name}: {each.ip} is an address that other hosts cannot reach; name it by the "
                "address that they use, or set its interface"
            )


def _tls(address: str) -> tuple[str, ...]:
    return _TLS if address.startswith("tls://") else ()


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
