"""What would run where, without running it."""

import sys

import pytest

from configs.cluster import Cluster
from configs.errors import BadSetting, ClusterUnavailable
from configs.settings import load
from launcher.cluster import deploy
from launcher.cluster.facts import Facts
from launcher.cluster.plan import make_plan, more_workers
from launcher.cluster.ssh import command
from launcher.host.versions import versions
from tests.bank import ROOT


def cluster(**table):
    return Cluster.model_validate({"hosts": ["10.0.0.1"], **table})


def facts(**changes):
    here = {"machine": "m", "cores": 8, "gpus": 0, "memory_mb": 16_000, "ip": "10.0.0.1"}
    return Facts(**{**here, "versions": versions()} | changes)


def option(process, name):
    return process.words[process.words.index(name) + 1]


def test_a_host_has_as_many_workers_as_its_cores_allow():
    plan = make_plan(cluster(threads=3), {"10.0.0.1": facts()})

    [process] = plan.workers["10.0.0.1"]
    assert option(process, "--workers") == "2"
    assert option(process, "--threads") == "3"
    assert option(process, "--memory-limit") == "6000MiB"
    assert plan.names == {"10.0.0.1-cpu-0", "10.0.0.1-cpu-1"}


def test_a_card_has_a_worker_that_sees_no_other_card():
    plan = make_plan(cluster(gpus=2, workers=1), {"10.0.0.1": facts(gpus=4)})

    cpu, first, second = plan.workers["10.0.0.1"]
    assert "--gpu" not in cpu.words
    assert [option(each, "--gpu") for each in (first, second)] == ["0", "1"]
    assert option(second, "--memory-limit") == "4000MiB"
    assert option(second, "--threads") == "2"
    assert option(cpu, "--memory-limit") == "2000MiB"
    assert plan.names == {"10.0.0.1-cpu", "10.0.0.1-gpu0", "10.0.0.1-gpu1"}


def test_tags_are_resources_of_one():
    table = cluster(tags=["large"], resources={"licence": 2}, workers=1)

    [process] = make_plan(table, {"10.0.0.1": facts()}).workers["10.0.0.1"]

    assert [process.words[n + 1] for n, word in enumerate(process.words) if word == "--tag"] == [
        "large=1",
        "licence=2",
    ]


def test_the_fits_that_share_a_card_take_cores_too():
    by_itself = make_plan(cluster(gpus=1), {"10.0.0.1": facts(gpus=1)}).workers["10.0.0.1"]

    assert [option(each, "--threads") for each in by_itself] == ["1", "4"]
    assert option(by_itself[0], "--workers") == "4"
    with pytest.raises(BadSetting, match="are 12, but the machine has 8 cores"):
        make_plan(cluster(gpus=2, fits_per_gpu=6, workers=0), {"10.0.0.1": facts(gpus=2)})


def test_what_is_set_for_all_hosts_gives_way_to_what_one_sets():
    table = cluster(workers=1, user="all", hosts=["a", {"address": "b", "workers": 3}])

    assert [(host.workers, host.user) for host in table.hosts] == [(1, "all"), (3, "all")]


def test_two_names_of_one_machine_share_its_cores():
    table = cluster(hosts=["a", "b"], workers=5)

    with pytest.raises(BadSetting, match=r"a, b: workers times threads are 10, but .* 8 cores"):
        make_plan(table, {"a": facts(), "b": facts()})


def test_two_machines_do_not():
    table = cluster(hosts=["a", "b"], workers=5)

    assert len(make_plan(table, {"a": facts(), "b": facts(machine="n")}).names) == 10


def test_more_cards_than_there_are_are_refused():
    with pytest.raises(BadSetting, match="gpus asks for more than the 1 card that"):
        make_plan(cluster(gpus=2), {"10.0.0.1": facts(gpus=1)})
    two_names = cluster(hosts=["a", "b"], gpus=1, workers=0)
    with pytest.raises(BadSetting, match=r"^b: gpus asks for more than the 0 cards"):
        make_plan(two_names, {"a": facts(gpus=1), "b": facts(gpus=0)})


def test_limits_that_add_up_to_more_memory_than_there_is_are_refused():
    with pytest.raises(BadSetting, match=r"limit are 22,888 MiB, but there are 16,000 MiB"):
        make_plan(cluster(gpus=2, workers=4, memory_limit="4GB"), {"10.0.0.1": facts(gpus=2)})
    two_names = {"a": facts(), "b": facts()}
    with pytest.raises(BadSetting, match=r"a, b: workers times memory_limit"):
        make_plan(cluster(hosts=["a", "b"], workers=2, memory_limit="5GB"), two_names)

    make_plan(cluster(workers=4, memory_limit="4GB"), {"10.0.0.1": facts()})
    make_plan(cluster(threads=3, memory_limit="8GB"), {"10.0.0.1": facts(memory_mb=15_259)})


def test_a_host_that_was_scaled_has_what_was_asked_for_then_whatever_runs_by_now():
    def planned(wanted, running):
        has = facts(wanted=wanted, running=running)
        processes = make_plan(cluster(workers=2), {"10.0.0.1": has}).workers["10.0.0.1"]
        return {each.name: int(option(each, "--workers")) for each in processes}

    assert planned(0, {}) == {}
    assert planned(2, {"cpu1": (2, 2)}) == {"cpu1": 2}  # cpu has left
    assert planned(3, {"cpu": (2, 2)}) == {"cpu": 2, "cpu1": 1}  # cpu1 has died
    assert planned(1, {"cpu": (2, 0), "cpu1": (2, 1)}) == {"cpu": 2, "cpu1": 2}  # some leave
    assert planned(None, {"cpu": (4, 4)}) == {"cpu": 2}  # runs with other settings: is refused


def test_a_host_gets_as_many_workers_more_as_it_lacks():
    table = cluster(hosts=["a", "b"], workers=2)
    has = {"a": facts(wanted=2, running={"cpu": (3, 2)}), "b": facts(machine="n")}

    added = more_workers(table, has, {"a": 4}, "tcp://10.0.0.1:8786")

    assert [(name, process.name) for name, process in added.items()] == [("a", "cpu1")]
    assert option(added["a"], "--workers") == "2"
    assert more_workers(table, has, {"a": 1}, "tcp://10.0.0.1:8786") == {}


def test_more_workers_than_all_names_of_a_machine_have_cores_for_are_refused():
    table = cluster(hosts=["a", "b", "c"], workers=3)
    two_names = {"a": facts(), "b": facts(), "c": facts(machine="n", cores=2)}

    def more(**wanted):
        return more_workers(table, two_names, wanted, "tcp://10.0.0.1:8786").keys()

    with pytest.raises(BadSetting, match=r"^a, b: workers times threads are 9, but .* 8 cores"):
        more(a=6)
    assert more(a=5) == {"a"}  # what is planned for c, another machine, is not its business
    assert more(a=6, b=2) == {"a", "b"}


def test_workers_are_not_added_on_a_host_that_has_other_versions_now():
    table = cluster(hosts=["a", "b"], workers=1)
    has = {"a": facts(), "b": facts(machine="n", versions=versions() | {"numpy": "1.0"})}

    with pytest.raises(
        ClusterUnavailable, match=r"^b has numpy 1\.0 in place of .*; nothing was started; i"
    ):
        more_workers(table, has, {"b": 1}, "tcp://10.0.0.1:8786")
    assert more_workers(table, has, {"a": 1, "b": 0}, "tcp://10.0.0.1:8786").keys() == {"a"}


@pytest.mark.parametrize("name", ["cloudpickle", "msgpack", "numpy", "python", "scipy"])
def test_other_versions_are_named(name):
    there = versions() | {name: "1.0"}

    with pytest.raises(ClusterUnavailable, match=rf"10\.0\.0\.1 has {name} 1\.0 in place of"):
        make_plan(cluster(), {"10.0.0.1": facts(versions=there)})


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock"])
def test_what_must_be_the_same_is_installed_wherever_we_run(lock):
    """Images, and hosts that nobody develops on, lack what requirements-dev.lock adds."""
    installed = (ROOT / lock).read_text(encoding="utf-8").replace("xgboost-cpu==", "xgboost==")

    for name in versions().keys() - {"python", "deepcredit"}:
        assert f"\n{name}==" in installed, name


def test_hosts_with_and_without_cards_have_other_builds_and_make_one_cluster(monkeypatch):
    here, there = versions() | {"torch": "9.9+cpu"}, versions() | {"torch": "9.9+cu130"}
    monkeypatch.setattr("launcher.cluster.checks.versions", lambda: here)
    table = cluster(hosts=["a", "b"], workers=1)

    plan = make_plan(table, {"a": facts(versions=here), "b": facts(machine="n", versions=there)})

    assert plan.names == {"a-cpu", "b-cpu"}


def test_an_address_that_other_machines_cannot_reach_is_refused():
    table = cluster(hosts=["a", "b"])

    with pytest.raises(BadSetting, match=r"b: 127\.0\.1\.1 is an address that other hosts"):
        make_plan(table, {"a": facts(), "b": facts(machine="n", ip="127.0.1.1")})


def test_ssh_takes_keys_alone_and_known_hosts_alone(tmp_path):
    [host] = cluster(user="me", key_file="/key", port=2222).hosts

    words = command(host, tmp_path / "known")

    assert words[0] == "ssh"
    for wanted in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "PreferredAuthentications=publickey",
        "IdentitiesOnly=yes",
        f'UserKnownHostsFile="{tmp_path}/known"',
    ):
        assert words[words.index(wanted) - 1] == "-o"
    assert words[-3:] == ["--", "10.0.0.1", f"{sys.executable} -P -m launcher.host.agent"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[cluster]\nhosts = []", "cluster.hosts"),
        (
            "[cluster]\nhostz = ['a']",
            "cluster: unknown setting hostz; did you mean hosts\\? known settings",
        ),
        ("[[cluster.hosts]]\naddress = 'a'\ncolour = 1", "hosts.0: unknown setting colour; known"),
        ("[[cluster.hosts]]\nname = 'a'", "cluster.hosts.0.address"),
        ("[cluster]\nhosts = ['-oProxyCommand=x']", "cluster.hosts.0"),
        ("[cluster]\nhosts = ['a', 'a']", "a: named twice"),
        ("[cluster]\nhosts = ['a']\nscheduler_host = 'b'", "b is none of a"),
        ("cluster = 'a'", "cluster: must be a table"),
    ],
)
def test_a_bad_table_is_refused_with_what_is_wrong(tmp_path, text, message):
    file = tmp_path / "deepcredit.toml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(BadSetting, match=message):
        load(environ={}, file=file)


def test_the_table_cannot_come_from_the_environment(tmp_path):
    with pytest.raises(BadSetting, match="must be a table of"):
        load(environ={"DEEPCREDIT_CLUSTER": "a"}, file=tmp_path / "none")


def test_settings_survive_the_way_to_the_process_of_a_batch(tmp_path):
    file = tmp_path / "deepcredit.toml"
    file.write_text("[cluster]\nhosts = ['a', {address = 'b', gpus = 1}]\n", encoding="utf-8")
    settings = load(environ={}, file=file)

    again = load(
        settings.model_dump(mode="json", exclude_none=True), environ={}, file=tmp_path / "none"
    )

    assert again.cluster is not None
    assert settings.cluster is not None
    assert again.cluster.model_dump() == settings.cluster.model_dump()


def test_of_a_host_that_answers_once_stop_does_not_say_that_nothing_runs(monkeypatch):
    def ask(host, known_hosts, request):
        if host.name == "b":
            return [{"name": "cpu", "state": "stopped"}] if request["but"] else []
        if request["but"]:
            return []  # the scheduler alone runs there
        raise ClusterUnavailable("a: no answer within 60 s")

    def find(_):
        raise ClusterUnavailable("no scheduler")

    monkeypatch.setattr(deploy, "ask", ask)
    monkeypatch.setattr(deploy, "find", find)
    said = []

    with pytest.raises(
        ClusterUnavailable, match=r"^a: no answer within 60 s; what may run there goes on; "
    ):
        deploy.stop(cluster(hosts=["a", "b"], workers=1), lambda _, line: said.append(line))

    assert "b: cpu stopped" in said
    assert "a: nothing runs" not in said
