"""Which processes run on which host: command lines and environments. It asks nobody: what it must
know it is given.
"""

import ipaddress
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dask.utils import parse_bytes

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster.config import environment
from launcher.cluster.placement import declared
from launcher.host import SEEN
from launcher.versions import differences, versions

CERTIFICATES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_TLS = ("--tls-ca-file", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
_KEPT = ("-P", "-m", "launcher.keep")  # started again when they end


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
    """A process to start: `words` follow the Python of the host; `workers` are Dask's names."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    workers: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "words": list(self.words),
            "environment": dict(self.environment),
        }


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
    scheduler = cluster.scheduler
    ip = facts[scheduler.name].ip
    protocol = "tls" if cluster.certificates else "tcp"
    address = f"{protocol}://{_bracketed(ip)}:{cluster.scheduler_port}"
    return Plan(
        address,
        _scheduler(cluster, ip, protocol),
        {
            host.name: tuple(_workers(host, facts[host.name], address, wanted[host.name]))
            for host in cluster.hosts
        },
    )


def _scheduler(cluster: Cluster, ip: str, protocol: str) -> Process:
    words = [
        *(*_KEPT, "-P", "-m", "dask", "scheduler"),
        *("--host", f"{protocol}://{_bracketed(ip)}", "--port", str(cluster.scheduler_port)),
        *("--dashboard-address", f"{_bracketed(ip)}:{cluster.dashboard_port}"),
        *(_TLS if protocol == "tls" else ()),
    ]
    return Process("scheduler", tuple(words), environment(encrypted=protocol == "tls"))


def _workers(host: Host, has: Facts, address: str, count: int) -> list[Process]:
    """One process that nurses all workers without a card, or several on a host that was scaled, and
    one for each card.
    """
    counts = _by_process(has, count).items()
    found = [cpu_workers(host, has, address, number, name) for name, number in counts if number]
    share = _fits_a_card(host, has)
    for number in range(host.gpus):
        limit = _limit_mb(host, has, share)
        resources = declared(limit, cards=1)
        card = _process(host, has, address, f"gpu{number}", 1, share, limit, resources)
        found.append(replace(card, environment={**card.environment, SEEN: str(number)}))
    return found


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
    limit = _limit_mb(host, has, host.threads)
    resources = declared(limit, threads=host.threads)
    return _process(host, has, address, name, count, host.threads, limit, resources)


def _process(
    host: Host,
    has: Facts,
    address: str,
    name: str,
    workers: int,
    threads: int,
    limit_mb: float,
    resources: Mapping[str, float],
) -> Process:
    protocol = address.partition(":")[0]
    label = f"{host.name}-{name}"
    offered = dict(resources) | dict.fromkeys(host.tags, 1.0) | dict(host.resources)
    words = [
        *(*_KEPT, "-P", "-m", "dask", "worker", address),
        *("--host", f"{protocol}://{_bracketed(has.ip)}"),
        *("--name", label, "--nworkers", str(workers), "--nthreads", str(threads)),
        *("--memory-limit", f"{limit_mb:.0f}MiB", "--local-directory", "scratch"),
        "--no-dashboard",
        *("--resources", " ".join(f"{k}={v:.10g}" for k, v in offered.items())),
        *(_TLS if protocol == "tls" else ()),
    ]
    # Dask numbers the workers of a process, but not a single one.
    names = [label] if workers == 1 else [f"{label}-{number}" for number in range(workers)]
    return Process(
        name, tuple(words), environment(encrypted=protocol == "tls") | {SEEN: ""}, tuple(names)
    )


def _limit_mb(host: Host, has: Facts, threads: int) -> float:
    """Memory of a worker: as told, or the host's in proportion to its threads."""
    if host.memory_limit == "auto":
        return has.memory_mb * min(1.0, threads / has.cores)
    return float(parse_bytes(host.memory_limit) / 2**20)


def _fits_a_card(host: Host, has: Facts) -> int:
    """Fits that may share a card: as told, or four if that leaves half of the cores."""
    if host.fits_per_gpu is not None or not host.gpus:
        return host.fits_per_gpu or 0
    return max(1, min(4, has.cores // (2 * host.gpus)))


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
        if max(host.gpus for host in here) > has.gpus:
            problems.append(f"{names}: gpus asks for more than the {has.gpus} cards there are")
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


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
