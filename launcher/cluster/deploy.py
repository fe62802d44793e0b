"""Starting and ending a cluster on the hosts of the configuration."""

import time
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster import dismissal
from launcher.cluster.certificates import FILES, read
from launcher.cluster.facts import Facts
from launcher.cluster.hosts import ask, ask_all
from launcher.cluster.look import Picture, look
from launcher.cluster.names import host_of
from launcher.cluster.plan import Process, address_of, make_plan
from launcher.cluster.waiting import Say, wait


def start(configured: Cluster, say: Say, without: Collection[str] = ()) -> Picture:
    """Start what does not run yet, and wait until every worker is there. A host that was scaled has
    as many workers as were asked for then; those of hosts that are no longer configured leave.

    Nothing is started before every host has answered, with the same versions as here, but those
    `without` which it is to go: they are left alone. `say` gets the share that is done, and what
    was done on which host.

    Raises:
        BadSetting: a host has not what is asked of it; it does not go without this host.
        ClusterUnavailable: a host cannot be reached or differs; something did not start.
    """
    certificates = read(configured.certificates)
    cluster = _without(configured, without)
    facts, errors = ask_all(cluster.hosts, lambda host: _ask_facts(cluster, host))
    if errors:
        advice = _advice(configured, (*without, *errors))
        raise ClusterUnavailable(f"{'; '.join(errors.values())}; nothing was started; {advice}")
    plan = make_plan(cluster, facts)
    for name, each in facts.items():
        say(0.1, f"{name}: {each.cores} cores, {each.gpus} GPUs, address {each.ip}")
    begin = time.monotonic()
    deadline = begin + cluster.start_seconds
    files = {FILES[name]: text for name, text in (certificates or {}).items()}
    scheduler = {cluster.scheduler.name: (plan.scheduler,)}
    start_processes(cluster, scheduler, files, say)
    wait(cluster, plan.address, certificates, scheduler, set(), deadline, say)
    workers = {name: processes for name, processes in plan.workers.items() if processes}
    retired = start_processes(cluster, workers, files, say)
    everything = dict(plan.workers) | {
        cluster.scheduler.name: (plan.scheduler, *plan.workers[cluster.scheduler.name])
    }
    names = plan.names - retired
    picture = wait(cluster, plan.address, certificates, everything, names, deadline, say)
    return look(plan.address, certificates) if _dismiss(configured, picture, say) else picture


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
    that are no longer configured.

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
            _dismiss(cluster, picture, say)
        except ClusterUnavailable as error:
            deaf = [str(error)]
    answers, unreached = ask_all(
        cluster.hosts, lambda host: ask(host, cluster.known_hosts, {"action": "stop"})
    )
    errors = [*unreached.values(), *deaf]
    if unasked and any(answers.values()):
        say(
            1.0, f"{unasked}; workers of hosts that are no longer configured were not told to leave"
        )
    for name, ended in answers.items():
        for each in ended:
            say(1.0, f"{name}: {each['name']} {each['state']}")
            if each["state"] != "stopped":
                errors.append(f"{name}: {each['name']} does not end; its host needs a look")
        if not ended:
            say(1.0, f"{name}: nothing runs")
    if errors:
        raise ClusterUnavailable("; ".join(errors))


def _dismiss(cluster: Cluster, picture: Picture, say: Say) -> bool:
    """Tell workers of hosts that are no longer configured to leave; whether there are any.

    Raises:
        ClusterUnavailable: some did not hear it.
    """
    if not (former := dismissal.of_former_hosts(cluster, picture)):
        return False
    told = dismissal.tell(picture.address, read(cluster.certificates), former)
    for worker in told:
        say(1.0, f"{worker.name} leaves after what it runs: its host is not in `hosts` any more")
    return bool(told)


def find(cluster: Cluster) -> Picture:
    """The cluster as its scheduler sees it.

    Raises:
        ClusterUnavailable: the scheduler's host or the scheduler does not answer.
    """
    host = cluster.scheduler
    ip = host.address
    if host.interface or not _is_ip(ip):
        ip = _ask_facts(cluster, host).ip
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
    hosts = without_workers(cluster, picture)
    answers, errors = ask_all(hosts, lambda host: _ask_facts(cluster, host))
    start = "`deepcredit cluster start`"
    return [
        *(
            f"no worker of {name} is there; unless it was scaled to none, {start}"
            for name in answers
        ),
        *(f"{error}; no worker is there; {start} when it is back" for error in errors.values()),
    ]


def ask_facts(cluster: Cluster, needed: Collection[str]) -> dict[str, Facts]:
    """What each host has that answers.

    Raises:
        ClusterUnavailable: one of those `needed` does not.
    """
    answers, errors = ask_all(cluster.hosts, lambda host: _ask_facts(cluster, host))
    if missing := [error for name, error in errors.items() if name in needed]:
        raise ClusterUnavailable(f"{'; '.join(missing)}; nothing was changed")
    return answers


def _ask_facts(cluster: Cluster, host: Host) -> Facts:
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


def start_processes(
    cluster: Cluster,
    processes: Mapping[str, tuple[Process, ...]],
    files: Mapping[str, str],
    say: Say,
) -> set[str]:
    """Start what does not run yet; returns the workers that `scale` has retired since.

    Raises:
        ClusterUnavailable: a host cannot be reached, or a process runs with other settings.
    """

    def begin(host: Host) -> list[dict[str, Any]]:
        request = {
            "action": "start",
            "env_file": host.env_file,
            "files": files,
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
                    "`deepcredit cluster stop` first"
                )
            else:
                less = f", less {', '.join(each['retired'])}" if each["retired"] else ""
                say(0.3, f"{name}: {each['name']} {each['state']}{less}")
    if errors:
        raise ClusterUnavailable("; ".join(errors))
    return retired


def _is_ip(text: str) -> bool:
    return text.replace(".", "").isdigit() or ":" in text
