"""Whether hosts are alike, can reach each other, and have what is asked of them."""

import ipaddress
from collections.abc import Mapping, Sequence

from configs.cluster import Host
from configs.errors import BadSetting, ClusterUnavailable
from configs.wording import counted
from launcher.cluster.facts import Facts
from launcher.host.versions import differences, versions


def check_room(
    hosts: Sequence[Host], facts: Mapping[str, Facts], wanted: Mapping[str, int]
) -> None:
    """Raises BadSetting: `wanted` workers without a card, and cards, are too many for a machine."""
    problems = []
    for machine in dict.fromkeys(facts[host.name].machine for host in hosts):
        here = [host for host in hosts if facts[host.name].machine == machine]
        names, has = ", ".join(host.name for host in here), facts[here[0].name]
        threads = sum(_threads(host, has, wanted[host.name]) for host in here)
        if threads > has.cores:
            problems.append(
                f"{names}: workers times threads are {threads}, but the machine has "
                f"{counted(has.cores, 'core')}; set workers or threads lower"
            )
        memory = sum(_memory_mb(host, has, wanted[host.name]) for host in here)
        if memory > has.memory_mb + 1:  # of what is in proportion to threads, rounded
            problems.append(
                f"{names}: workers times memory_limit are {memory:,.0f} MiB, but there are "
                f"{has.memory_mb:,} MiB; set workers or memory_limit lower"
            )
    problems += [
        f"{host.name}: gpus asks for more than the {counted(facts[host.name].gpus, 'card')} that "
        "it may see"
        for host in hosts
        if host.gpus > facts[host.name].gpus
    ]
    if problems:
        raise BadSetting("; ".join(problems))


def _threads(host: Host, has: Facts, workers: int) -> int:
    return workers * host.threads + host.gpus * has.fits_a_card(host)


def _memory_mb(host: Host, has: Facts, workers: int) -> float:
    """What all workers of a host may use."""
    share = has.fits_a_card(host)
    return workers * has.limit_mb(host, host.threads) + host.gpus * has.limit_mb(host, share)


def check_versions(facts: Mapping[str, Facts]) -> None:
    """Raises ClusterUnavailable: hosts have other versions than there are here."""
    here = versions()
    problems = [
        f"{name} has {', '.join(found)}"
        for name, each in facts.items()
        if (found := differences(here, each.versions))
    ]
    if problems:
        told = "; ".join(problems)
        raise ClusterUnavailable(
            f"{told}; nothing was started; install the same versions everywhere"
        )


def check_addresses(facts: Mapping[str, Facts]) -> None:
    """Raises BadSetting: a host's own address is of no use to the others."""
    if len({each.machine for each in facts.values()}) < 2:
        return
    for name, each in facts.items():
        if ipaddress.ip_address(each.ip.partition("%")[0]).is_loopback:
            raise BadSetting(
                f"{name}: {each.ip} is an address that other hosts cannot reach; name it by the "
                "address that they use, or set its interface"
            )
