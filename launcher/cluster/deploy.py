"""Starting and ending a cluster on the hosts of the configuration."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from configs.wording import counted
from launcher.cluster import dismissal
from launcher.cluster.certificates import FILES, read
from launcher.cluster.discovery import facts_of, find
from launcher.cluster.facts import Facts
from launcher.cluster.look import Picture, Worker, look
from launcher.cluster.names import host_of
from launcher.cluster.plan import Process, make_plan
from launcher.cluster.ssh import ask, ask_all, together
from launcher.cluster.waiting import Say, wait, wait_until_gone


def start(configured: Cluster, say: Say, without: Collection[str] = ()) -> Picture:
    """Start what does not run yet, and wait until every worker is there. A host that was scaled has
    as many workers as were asked for then; those of hosts that are no longer configured, or were
    another machine before, leave.

    Nothing is started before every host has answered, with the same versions as here, but those
    `without` which it is to go: they are left alone. `say` gets the share that is done, and what
    was done on which host.

    Raises:
        BadSetting: a host has not what is asked of it; it does not go without this host.
        ClusterUnavailable: a host cannot be reached or differs; something did not start.
    """
    certificates = read(configured.certificates)
    cluster = _without(configured, without)
    facts, errors = facts_of(cluster, cluster.hosts)
    if errors:
        # If all fail, hardly each of them is down.
        again = "`deepcredit cluster start` again once that is mended"
        advice = _advice(configured, (*without, *errors)) if facts else again
        raise ClusterUnavailable(f"{together(errors)}; nothing was started; {advice}")
    plan = make_plan(cluster, facts)
    for name, each in facts.items():
        has = f"{counted(each.cores, 'core')}, {counted(each.gpus, 'GPU')}"
        say(0.1, f"{name}: {has}, address {each.ip}")
    deadline = time.monotonic() + cluster.start_seconds
    scheduler = {cluster.scheduler.name: (plan.scheduler,)}
    start_processes(cluster, scheduler, certificates, say)
    picture = wait(cluster, plan.address, certificates, scheduler, set(), deadline, say)
    if moved := dismissal.of_moved_hosts(picture, facts):  # a name is for one worker
        told = _dismiss(configured, picture, moved, say)
        leaving = [*told, *(worker for worker in moved if worker.leaving)]
        wait_until_gone(plan.address, certificates, leaving, deadline)
    workers = {name: processes for name, processes in plan.workers.items() if processes}
    retired = start_processes(cluster, workers, certificates, say)
    everything = dict(plan.workers) | {
        cluster.scheduler.name: (plan.scheduler, *plan.workers[cluster.scheduler.name])
    }
    names = plan.names - retired
    picture = wait(cluster, plan.address, certificates, everything, names, deadline, say)
    former = dismissal.of_former_hosts(configured, picture)
    told = _dismiss(configured, picture, former, say)
    return look(plan.address, certificates) if told else picture


def _without(cluster: Cluster, names: Collection[str]) -> Cluster:
    """A cluster of its other hosts, with the same scheduler."""
    known = [host.name for host in cluster.hosts]
    if unknown := sorted(set(names) - set(known)):
        raise BadSetting(f"{unknown[0]} is none of the hosts {', '.join(known)}")
    if cluster.scheduler.name in names:
        raise BadSetting(f"nothing was started; {_advice(cluster, names)}")
    rest = tuple(host for host in cluster.hosts if host.name not in names)
    return cluster.model_copy(update={"hosts": rest, "scheduler_host": cluster.scheduler.name})


def _advice(cluster: Cluster, away: Collection[str]) -> str:
    """How to start a cluster without these hosts."""
    start = " ".join(("deepcredit cluster start", *(f"--without {name}" for name in away)))
    ours = cluster.scheduler.name
    if ours not in away:
        return f"`{start}` starts the others"
    return (
        f"the scheduler is to run on {ours}: if that stays away, `deepcredit cluster stop`, name "
        "another host as `scheduler_host` in the table [cluster], and its address as `scheduler` "
        f"for all launchers; then `{start}`"
    )


def stop(cluster: Cluster, say: Say) -> None:
    """End what start started, on every host that answers, and while the scheduler does, on those
    that are no longer configured, also under the address that a host had before.

    Raises:
        ClusterUnavailable: a host could not be reached, or a process does not end.
    """
    deaf, unasked = [], ""
    try:
        picture = find(cluster)
    except (BadSetting, ClusterUnavailable) as error:
        unasked = str(error)
    else:
        try:
            former = dismissal.of_former_hosts(cluster, picture)
            moved = dismissal.of_moved_hosts(picture, _facts_of_moved(cluster, picture))
            _dismiss(cluster, picture, (*former, *moved), say)
        except ClusterUnavailable as error:
            deaf = [str(error)]
        with suppress(ClusterUnavailable):  # then nothing is handed on, either
            dismissal.announce_end(picture.address, read(cluster.certificates))
    states, unreached = _end(cluster)
    errors = [*unreached, *deaf]
    if unasked and any(states.values()):
        say(
            1.0, f"{unasked}; workers of hosts that are no longer configured were not told to leave"
        )
    for name, ended in states.items():
        for process, state in ended.items():
            say(1.0, f"{name}: {process} {state}")
            if state != "stopped":
                errors.append(f"{name}: {process} does not end; its host needs a look")
        if not ended:
            say(1.0, f"{name}: nothing runs")
    if errors:
        raise ClusterUnavailable("; ".join(errors))


def _end(cluster: Cluster) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What became of the processes of each host that answers, by their names; why others do not.

    Workers first: one whose scheduler ends while its nanny does waits for the nanny, which waits
    for the worker, and that takes eight seconds.
    """

    def end(hosts: Iterable[Host], *but: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        request = {"action": "stop", "but": but}
        answers, errors = ask_all(hosts, lambda host: ask(host, cluster.known_hosts, request))
        ended = {
            name: {each["name"]: each["state"] for each in states}
            for name, states in answers.items()
        }
        return ended, errors

    workers, away = end(cluster.hosts, "scheduler")
    schedulers, lost = end(host for host in cluster.hosts if host.name in workers)
    # If a host answered only once, it is not known whether nothing runs there.
    ended = {
        name: states | schedulers.get(name, {})
        for name, states in workers.items()
        if states or name in schedulers
    }
    if not (unreached := away | lost):
        return ended, []
    again = "what may run there goes on; `deepcredit cluster stop` again when that is mended"
    return ended, [f"{together(unreached)}; {again}"]


def _facts_of_moved(cluster: Cluster, picture: Picture) -> Mapping[str, Facts]:
    """Of hosts that may have been other machines before. Where an address is a name, ask."""
    places = {(host_of(worker.name), worker.host) for worker in picture.workers}
    hosts = {host.name: host for host in cluster.hosts}
    asked = {name for name, place in places if name in hosts and hosts[name].address != place}
    return facts_of(cluster, [hosts[name] for name in sorted(asked)])[0]


def _dismiss(
    cluster: Cluster, picture: Picture, former: Sequence[Worker], say: Say
) -> list[Worker]:
    """Tell workers of hosts that are no longer configured so to leave, and return those.

    Raises:
        ClusterUnavailable: some did not hear it.
    """
    if not (staying := [worker for worker in former if not worker.leaving]):
        return []
    names = {host.name for host in cluster.hosts}
    told = dismissal.tell(picture.address, read(cluster.certificates), staying)
    for worker in told:
        moved = host_of(worker.name) in names
        why = f"was {worker.host} before" if moved else "is not in `hosts` any more"
        say(1.0, f"{worker.name} leaves after what it runs: its host {why}")
    return told


def start_processes(
    cluster: Cluster,
    processes: Mapping[str, tuple[Process, ...]],
    certificates: Mapping[str, str] | None,
    say: Say,
    *,
    scaled: bool = False,
) -> set[str]:
    """Start what does not run yet; returns the workers that `scale` has retired since. `scaled`:
    these hosts have just been told how many workers they are to have.

    Raises:
        ClusterUnavailable: a host cannot be reached, a process runs with other settings, or a
            cluster that is scaled was stopped meanwhile.
    """
    files = {FILES[name]: text for name, text in (certificates or {}).items()}

    def begin(host: Host) -> list[dict[str, Any]]:
        request = {
            "action": "start",
            "env_file": host.env_file,
            "files": files,
            "scaled": scaled,
            "processes": [each.as_json() for each in processes[host.name]],
        }
        answer: list[dict[str, Any]] = ask(host, cluster.known_hosts, request)
        return answer

    answers, unreached = ask_all((h for h in cluster.hosts if h.name in processes), begin)
    errors = [*unreached.values()]
    retired: set[str] = set()
    for name, states in answers.items():
        for each in states:
            retired.update(each["retired"])
            if each["state"] == "different":
                errors.append(
                    f"{name}: {each['name']} runs with other settings or certificates; "
                    "`deepcredit cluster stop` first, or if that is another cluster, give this one "
                    "a `folder` of its own"
                )
            elif each["state"] == "unkept":
                errors.append(
                    f"{name}: {each['name']} runs, but the process that would start it again was "
                    "killed; `deepcredit cluster stop`, then `deepcredit cluster start`"
                )
            elif each["state"] == "stopped":
                errors.append(
                    f"{name}: {each['name']} was not started, as `deepcredit cluster stop` came in "
                    "between; `deepcredit cluster start` first"
                )
            else:
                less = f", less {', '.join(each['retired'])}" if each["retired"] else ""
                say(0.3, f"{name}: {each['name']} {each['state']}{less}")
    if errors:
        raise ClusterUnavailable("; ".join(errors))
    return retired
