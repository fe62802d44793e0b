"""Starting and ending a cluster on the hosts of the configuration."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from configs.cluster import Cluster, Host
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster import leaving
from launcher.cluster.certificates import FILES, read
from launcher.cluster.hosts import ask, ask_all
from launcher.cluster.look import NoAnswer, Picture, look
from launcher.cluster.plan import Facts, Process, address_of, make_plan

Say = Callable[[float, str], None]

_PAUSE_SECONDS = 0.5
_ALIVE_EVERY_SECONDS = 5.0


def start(cluster: Cluster, say: Say) -> Picture:
    """Start what does not run yet, and wait until every worker is there. A host that was scaled has
    as many workers as were asked for then; those of hosts that are no longer configured leave.

    Nothing is started before every host has answered, with the same versions as here. `say` gets
    the share that is done, and what was done on which host.

    Raises:
        BadSetting: a host has not what is asked of it.
        ClusterUnavailable: a host cannot be reached or differs; something did not start.
    """
    certificates = read(cluster.certificates)
    facts = ask_facts(cluster, cluster.hosts)
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
    return look(plan.address, certificates) if _dismiss(cluster, picture, say) else picture


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
    answers, errors = ask_all(
        cluster.hosts, lambda host: ask(host, cluster.known_hosts, {"action": "stop"})
    )
    errors += deaf
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
    former = leaving.of_former_hosts(cluster, picture)
    if former:
        leaving.tell(picture.address, read(cluster.certificates), former)
    for worker in former:
        say(1.0, f"{worker.name} leaves after what it runs: its host is not in `hosts` any more")
    return bool(former)


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


def without_workers(cluster: Cluster, picture: Picture) -> list[str]:
    """Hosts that are to have some, and of which the scheduler knows none."""
    there = [worker.name for worker in picture.workers]
    return [
        host.name
        for host in cluster.hosts
        if (host.workers != 0 or host.gpus)
        and not any(re.fullmatch(rf"{re.escape(host.name)}-[cg]pu[\d-]*", name) for name in there)
    ]


def ask_facts(cluster: Cluster, hosts: Iterable[Host]) -> dict[str, Facts]:
    """What each of these hosts has. Raises ClusterUnavailable."""
    answers, errors = ask_all(hosts, lambda host: _ask_facts(cluster, host))
    if errors:
        raise ClusterUnavailable(
            f"{'; '.join(errors)}; nothing was started; take a host that stays away out of the "
            "table [cluster]"
        )
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

    answers, errors = ask_all((h for h in cluster.hosts if h.name in processes), begin)
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
    the host's name, dies meanwhile, that ends the wait.
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
            say(0.4 + 0.6 * (1 - len(missing) / len(names)), f"{len(missing)} workers to come")
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


def _dead(cluster: Cluster, processes: Mapping[str, tuple[Process, ...]]) -> list[str]:
    answers, errors = ask_all(
        (host for host in cluster.hosts if host.name in processes),
        lambda host: ask(host, cluster.known_hosts, {"action": "look"}),
    )
    # Others may have ended because all of their workers were told to.
    known = {(name, process.name) for name, few in processes.items() for process in few}
    return errors + [
        f"{name}: {each['name']} died: {each['tail']}"
        for name, found in answers.items()
        for each in found
        if not each["alive"] and (name, each["name"]) in known
    ]


def _is_ip(text: str) -> bool:
    return text.replace(".", "").isdigit() or ":" in text
