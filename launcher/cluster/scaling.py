"""More or fewer workers on hosts of a cluster that runs, without losing what they run."""

import time
from collections.abc import Mapping

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster import dismissal
from launcher.cluster.certificates import read
from launcher.cluster.deploy import start_processes
from launcher.cluster.discovery import facts_of, find
from launcher.cluster.look import Picture, Worker
from launcher.cluster.names import has_card, host_of
from launcher.cluster.plan import more_workers
from launcher.cluster.ssh import ask, ask_all, together
from launcher.cluster.waiting import Say, wait


def scale(cluster: Cluster, wanted: Mapping[str, int], say: Say) -> Picture:
    """Start workers, and wait until they are there, or tell some to leave after what they run.

    Only workers without a card. It holds until the processes of a host are stopped: `start` keeps
    to it.

    Raises:
        BadSetting: no such host, or more workers than its machine has cores or memory for.
        ClusterUnavailable: the scheduler or one of these hosts does not answer; one that is to have
            more differs in versions; the cluster is stopped meanwhile.
    """
    hosts = {host.name: host for host in cluster.hosts}
    if unknown := sorted(wanted.keys() - hosts.keys()):
        raise BadSetting(f"{unknown[0]} is none of the hosts {', '.join(hosts)}")
    facts, errors = facts_of(cluster, cluster.hosts)
    if missing := {name: errors[name] for name in wanted if name in errors}:
        raise ClusterUnavailable(f"{together(missing)}; nothing was changed")
    picture = find(cluster)  # as late as may be: workers would wait in vain for one that was ended
    new = more_workers(cluster, facts, wanted, picture.address)
    _remember(cluster, hosts, wanted)
    there = {name: _workers(picture, name) for name in wanted}
    # By what runs on the host: the scheduler does not know workers that are being renewed.
    more = {name: n - facts[name].staying for name, n in wanted.items()}
    less = {name: -number for name, number in more.items() if number < 0}
    certificates = read(cluster.certificates)
    for name, number in less.items():
        # First those that can hear it and run nothing.
        idlest = sorted(there[name], key=lambda w: (not w.answering, w.running + w.waiting))
        idlest = idlest[:number]
        for worker in dismissal.tell(picture.address, certificates, idlest):
            say(0.3, f"{name}: {worker.name} leaves after what it runs")
    if not new:
        return find(cluster)
    processes = {name: (each,) for name, each in new.items()}
    start_processes(cluster, processes, certificates, say, scaled=True)
    names = {worker for process in new.values() for worker in process.workers}
    deadline = time.monotonic() + cluster.start_seconds
    return wait(cluster, picture.address, certificates, processes, names, deadline, say)


def _workers(picture: Picture, name: str) -> list[Worker]:
    """Those of a host that have no card and stay."""
    return [
        each
        for each in picture.workers
        if host_of(each.name) == name and not has_card(each.name) and not each.leaving
    ]


def _remember(cluster: Cluster, hosts: Mapping[str, Host], wanted: Mapping[str, int]) -> None:
    def tell(host: Host) -> None:
        request = {"action": "want", "workers": wanted[host.name]}
        ask(host, cluster.known_hosts, request)

    _, errors = ask_all([hosts[name] for name in wanted], tell)
    if errors:
        raise ClusterUnavailable(together(errors))
