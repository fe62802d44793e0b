"""What `deepcredit worker` and `deepcredit scheduler` make of themselves: Dask's own commands."""

import os
import socket
import sys

import dask
import pytest

from configs.cluster import Cluster
from configs.errors import BadSetting, ClusterUnavailable
from launcher.cli import execute
from launcher.cluster import certificates
from launcher.cluster.config import CONFIG
from launcher.cluster.facts import Facts
from launcher.cluster.plan import make_plan
from launcher.host.addresses import check_free, towards
from launcher.host.versions import versions

ADDRESS = "tcp://10.0.0.1:8786"


@pytest.fixture
def becomes(monkeypatch, tmp_path):
    """Runs a command; returns (words for Dask, environment)."""
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(
        os, "execve", lambda _, words, environment: made.append((words, environment))
    )
    monkeypatch.setattr("launcher.commands.scheduler.check_free", lambda _: None)
    monkeypatch.setattr("launcher.commands.worker.towards", lambda _: "10.0.0.2")
    monkeypatch.setattr("launcher.commands.worker.cores", lambda: 8)
    monkeypatch.setattr("launcher.commands.worker.memory_mb", lambda: 16_000)

    def become(*words):
        made.clear()
        assert execute(words) == 0
        [(command, environment)] = made
        assert command[:4] == (sys.executable, "-P", "-m", "dask")
        return list(command[4:]), environment

    return become


def option(words, name):
    return words[words.index(name) + 1]


def test_what_an_operator_lets_dask_preload_is_preloaded(becomes, monkeypatch):
    ours = becomes("worker", ADDRESS)[1]["DASK_DISTRIBUTED__WORKER__PRELOAD"]
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", "theirs")

    assert ours == "['launcher.host.at_start']"
    assert becomes("worker", ADDRESS)[1]["DASK_DISTRIBUTED__WORKER__PRELOAD"] == "theirs"


def test_a_worker_declares_its_part_of_the_host_and_sees_no_card(becomes, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "geheim")
    monkeypatch.setenv("DEEPCREDIT_SFTP_PASSWORD", "of the host")

    words, environment = becomes("worker", ADDRESS)

    assert words[:2] == ["worker", ADDRESS]
    assert option(words, "--nthreads") == "1"
    assert option(words, "--memory-limit") == "2000MiB"
    assert option(words, "--resources") == "CPU=1 MEMORY=1600"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["OMP_NUM_THREADS"] == "1"  # a task has one, however many run at once
    assert environment["PATH"] == os.environ["PATH"]
    assert "DEEPCREDIT_DATABASE_PASSWORD" not in environment  # workers never talk to it
    assert environment["DEEPCREDIT_SFTP_PASSWORD"] == "of the host"


def test_a_scheduler_is_given_none_of_our_settings_and_secrets(becomes, monkeypatch):
    monkeypatch.setenv("DEEPCREDIT_SFTP_PASSWORD", "of the host")

    _, environment = becomes("scheduler", ADDRESS)

    assert environment["PATH"] == os.environ["PATH"]
    assert [name for name in environment if name.startswith("DEEPCREDIT_")] == []


def test_a_worker_of_a_card_sees_that_card_alone_and_up_to_four_fits_share_it(becomes, monkeypatch):
    words, environment = becomes("worker", ADDRESS, "--gpu", "1", "--memory-limit", "4GiB")

    assert option(words, "--nthreads") == "4"
    assert option(words, "--resources") == "GPU=1 MEMORY=3696"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    words, _ = becomes("worker", ADDRESS, "--gpu", "1", "--threads", "2")
    assert option(words, "--resources") == "GPU=1 MEMORY=3600"
    monkeypatch.setattr("launcher.commands.worker.cores", lambda: 2)
    assert option(becomes("worker", ADDRESS, "--gpu", "1")[0], "--nthreads") == "2"


def test_a_worker_sees_no_card_that_is_hidden_from_it(becomes, monkeypatch, tmp_path, capsys):
    (tmp_path / "gpus" / "a").mkdir(parents=True)
    (tmp_path / "gpus" / "b").mkdir()
    monkeypatch.setattr("launcher.host.machine._GPUS", tmp_path / "gpus")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    seen = [becomes("worker", ADDRESS, "--gpu", n)[1]["CUDA_VISIBLE_DEVICES"] for n in "01"]

    assert seen == ["1", ""]
    assert "--gpu 1: this host has 1 card, counted from 0" in capsys.readouterr().err


def test_tags_are_declared_and_what_follows_the_dashes_is_dask_s(becomes):
    words, _ = becomes(
        *("worker", ADDRESS, "--name", "one", "--workers", "3", "--tag", "large"),
        *("--tag", "licence=2.5", "--memory-limit", "0", "--", "--dashboard-address", ":8788"),
    )

    assert option(words, "--nworkers") == "3"
    assert option(words, "--name") == "one"
    assert option(words, "--memory-limit") == "0MiB"
    assert option(words, "--resources") == "CPU=1 large=1 licence=2.5"
    assert words[-2:] == ["--dashboard-address", ":8788"]


def test_they_listen_at_one_address_unless_told_otherwise(becomes):
    """Whoever reaches them can have them run anything, or see their pages."""
    worker, _ = becomes("worker", ADDRESS)
    told, _ = becomes("worker", ADDRESS, "--", "--interface", "eth1")
    scheduler, _ = becomes("scheduler", "tcp://10.0.0.1:8786")
    everywhere, _ = becomes("scheduler", "tcp://:8786")

    assert option(worker, "--host") == "tcp://10.0.0.2"
    assert option(worker, "--dashboard-address") == "10.0.0.2:0"
    assert "--host" not in told
    assert option(scheduler, "--dashboard-address") == "10.0.0.1:8787"
    assert "--dashboard-address" not in everywhere


def test_the_address_towards_another_is_of_its_network():
    assert towards("tcp://127.0.0.1:8786") == "127.0.0.1"
    assert towards("tls://[::1]:8786") == "::1"
    assert towards("tcp://localhost:8786") == "127.0.0.1"
    with pytest.raises(ClusterUnavailable, match=r"no way from here to tcp://no-such\.invalid:1: "):
        towards("tcp://no-such.invalid:1")


def test_dask_imports_from_no_folder_that_others_could_have_made(becomes, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "dask-scratch-space").mkdir(mode=0o777)

    for words in (("scheduler", "tcp://:8786"), ("worker", ADDRESS)):
        _, environment = becomes(*words)
        assert environment["DASK_TEMPORARY_DIRECTORY"] == str(
            tmp_path / f"deepcredit-{os.getuid()}"
        )
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", "/large")
    assert becomes("worker", ADDRESS)[1]["DASK_TEMPORARY_DIRECTORY"] == "/large"


def test_dask_reads_from_the_environment_what_the_embedded_cluster_sets(becomes):
    for words in (("scheduler", "tcp://:8786"), ("worker", ADDRESS)):
        _, environment = becomes(*words)
        read = dask.config.collect(paths=[], env=environment)
        assert {key: dask.config.get(key, None, config=read) for key in CONFIG} == CONFIG


def test_tls_takes_the_certificates_of_the_settings_or_those_it_is_told(becomes, tmp_path):
    certificates.make(tmp_path / "tls")
    tls = "tls://10.0.0.1:8786"
    (tmp_path / "deepcredit.toml").write_text(
        '[cluster]\nhosts = ["10.0.0.1"]\ncertificates = "tls"\n', encoding="utf-8"
    )
    encrypted = "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"

    for folder, more in (("tls", ()), (str(tmp_path / "tls"), (str(tmp_path / "tls"),))):
        words, environment = becomes("worker", tls, *(f"--certificates={one}" for one in more))
        assert option(words, "--tls-ca-file") == f"{folder}/ca.pem"
        assert option(words, "--tls-cert") == f"{folder}/cert.pem"
        assert option(words, "--tls-key") == f"{folder}/key.pem"
        assert environment[encrypted] == "True"
    assert "--tls-key" in becomes("scheduler", tls)[0]
    assert encrypted not in becomes("worker", ADDRESS)[1]


def test_what_a_plan_starts_is_understood(becomes, tmp_path):
    """A host of a cluster has no settings, and its certificates where its processes run."""
    certificates.make(tmp_path / "tls")
    for file in (tmp_path / "tls").iterdir():
        file.rename(tmp_path / file.name)
    table = {"hosts": ["10.0.0.1"], "gpus": 1, "workers": 2, "tags": ["large"]}
    facts = Facts(
        machine="m",
        cores=8,
        gpus=1,
        memory_mb=16_000,
        ip="fe80::1",
        versions=versions(),
    )
    cluster = Cluster.model_validate({**table, "certificates": str(tmp_path / "tls")})

    plan = make_plan(cluster, {"10.0.0.1": facts})

    cpu, gpu = plan.workers["10.0.0.1"]
    ours = [process.words[6:] for process in (plan.scheduler, cpu, gpu)]
    (scheduler, _), (plain, _), (card, environment) = [becomes(*words) for words in ours]
    assert option(scheduler, "--host") == plan.address == plain[1] == "tls://[fe80::1]:8786"
    assert option(plain, "--resources") == "CPU=1 MEMORY=1600 large=1"
    assert option(plain, "--nworkers") == "2"
    assert option(card, "--resources") == "GPU=1 MEMORY=7600 large=1"
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert {option(each, "--tls-key") for each in (scheduler, plain, card)} == {"key.pem"}


def test_a_host_may_have_no_limit_but_none_that_leaves_nothing_for_fits(becomes):
    facts = Facts(
        machine="m", cores=8, gpus=0, memory_mb=16_000, ip="10.0.0.1", versions=versions()
    )

    def started(limit):
        cluster = Cluster.model_validate({"hosts": ["a"], "workers": 2, "memory_limit": limit})
        [process] = make_plan(cluster, {"a": facts}).workers["a"]
        return becomes(*process.words[6:])[0]

    for limit in ("0", "0 GB"):
        assert option(started(limit), "--memory-limit") == "0MiB"
        assert option(started(limit), "--resources") == "CPU=1"
    with pytest.raises(BadSetting, match="memory limit '16' is 0 MiB"):
        started("16")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["worker", "10.0.0.1:8786"], "'10.0.0.1:8786' is no address like tcp://10.0.0.1:8786"),
        (["scheduler", "tcp://10.0.0.1"], "is no address like"),
        (["worker", ""], "'' is no address like"),
        (["scheduler", "tcp://10.0.0.1:99999"], "is no address like"),
        (
            ["--set", "cache_dir=/big", "worker", ADDRESS],
            "cache_dir: no option before this command",
        ),
        (["worker", "tcp://:8786"], "tcp://:8786 names no host"),
        (["worker", ADDRESS, "--tag", "MEMORY=8000"], "--tag: MEMORY is declared by itself"),
        (["worker", "tls://a:1"], "tls://a:1 speaks TLS; name the folder"),
        (["worker", "tls://a:1", "--certificates", "none"], "none/key.pem"),
        (["worker", "tcp://a:1", "--certificates", "none"], "does not speak TLS"),
        (["worker", ADDRESS, "--memory-limit", "4foo"], "memory limit '4foo' is no size"),
        (["worker", ADDRESS, "--memory-limit", "1e999GB"], "memory limit '1e999GB' is no size"),
        (["worker", ADDRESS, "--memory-limit", "-4GB"], "'-4GB' is -3815 MiB, and a worker takes"),
        (["worker", ADDRESS, "--memory-limit", "4096"], "'4096' is 0 MiB, and a worker takes"),
        (["worker", ADDRESS, "--memory-limit", "0.5"], "'0.5' is 0 MiB, and a worker takes"),
        (["worker", ADDRESS, "--gpu", "0", "--workers", "2"], "a card has one worker"),
        (
            ["worker", ADDRESS, "--workers", "2", "--memory-limit", "8GiB"],
            "--workers times --memory-limit are 16,384 MiB, but there are 16,000 MiB",
        ),
        (["worker", ADDRESS, "--memory-limit", "60GiB"], "are 61,440 MiB"),
        (
            ["worker", ADDRESS, "--workers", "9", "--memory-limit", "1GiB"],
            "--workers times --threads are 9, but this host has 8 cores",
        ),
        (["worker", ADDRESS, "--gpu", "0", "--threads", "9"], "are 9, but this host has 8 cores"),
        (["worker", ADDRESS, "--tag", "a=b"], "--tag: 'a=b' is neither"),
        (["worker", ADDRESS, "--tag", "a b"], "--tag: 'a b' is neither"),
        (["worker", ADDRESS, "--tag", "a=-1"], "--tag: 'a=-1' is neither"),
        (["worker", ADDRESS, "--theads", "2"], "No such option: --theads"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(becomes, capsys, words, said):
    with pytest.raises(AssertionError):
        becomes(*words)

    assert said in capsys.readouterr().err
    assert execute(words) == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CACHE_DIR", "/dev/null/cache", "cache_dir: this user may not work in /dev/null/cache"),
        ("CACHE_DIRR", "/var/cache", "unknown setting cache_dirr"),
    ],
)
def test_a_worker_whose_own_settings_are_wrong_does_not_start(
    becomes, monkeypatch, capsys, name, value, said
):
    monkeypatch.setenv(f"DEEPCREDIT_{name}", value)

    assert execute(["worker", ADDRESS]) == 2
    assert said in capsys.readouterr().err


def test_a_scheduler_is_not_started_where_it_cannot_listen(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert execute(["scheduler", address]) == 2
        assert (
            f"cannot listen at {address}: Address already in use; a scheduler or another program "
            "has the port" in capsys.readouterr().err
        )
        with pytest.raises(BadSetting, match="Address already in use"):
            check_free(address.replace("127.0.0.1", ""))
        with socket.create_connection(taken.getsockname()), taken.accept()[0]:
            pass  # closed here first, so that the port waits a minute for what may still come
    check_free(address)
    with pytest.raises(BadSetting, match="write an address and a port of this host"):
        check_free("tcp://192.0.2.1:8786")
