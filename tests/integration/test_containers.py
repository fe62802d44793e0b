"""The container files: their shape, and their command lines and health checks as processes."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from configs.settings import load
from launcher.cluster.capacity import OWN_MB
from launcher.cluster.connection import connect
from launcher.cluster.placement import place
from launcher.host.machine import cores
from pipeline.executor import Need
from storage.engine import reading
from storage.schema import dc_batch
from tests.blocks import blocks
from tests.containers import (
    DOCKER,
    Stack,
    compose,
    image_environment,
    instructions,
    services_with_cards,
    stack,
)
from tests.desk import XGB, applicants, open_desk
from tests.mariadb import MariaDBMissing
from tests.waiting import until

# Of the Compose Specification, what is used here.
SERVICE_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "environment",
    "healthcheck",
    "image",
    "init",
    "logging",
    "pull_policy",
    "restart",
    "scale",
    "secrets",
    "security_opt",
    "stop_grace_period",
    "volumes",
}
BUILD_KEYS = {"context", "dockerfile", "target", "args"}
CHECK_KEYS = {"test", "interval", "start_interval", "start_period", "timeout", "disable"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")
FILES = ("Dockerfile", "sftp.Dockerfile", "sshd_config", "compose.yaml", "compose.cuda.yaml")
RUNTIMES = [("Dockerfile", "cpu"), ("Dockerfile", "cuda"), ("sftp.Dockerfile", None)]


@pytest.mark.parametrize("file", ["compose.yaml", "compose.cuda.yaml"])
def test_a_compose_file_has_only_keys_that_the_specification_knows(file: str) -> None:
    found = compose(file)

    known = {"name", "services", "volumes", "secrets"}
    assert {key for key in found if not key.startswith("x-")} <= known
    for service in found["services"].values():
        assert set(service) <= SERVICE_KEYS
        assert set(service.get("build", {})) <= BUILD_KEYS
        check = service.get("healthcheck", {})
        assert set(check) <= CHECK_KEYS
        times = [value for key, value in check.items() if key not in ("test", "disable")]
        assert all(DURATION.fullmatch(value) for value in times)
        for needed in service.get("depends_on", {}).values():
            assert needed["condition"] in CONDITIONS


def test_what_services_refer_to_is_there_and_nothing_else() -> None:
    found = compose()
    services = found["services"].values()

    mounts = [
        mount.partition(":")[0] for service in services for mount in service.get("volumes", [])
    ]
    assert set(mounts) == set(found["volumes"])
    secrets = {name for service in services for name in service.get("secrets", [])}
    assert secrets == set(found["secrets"])
    assert {value["file"] for value in found["secrets"].values()} == {
        f"./secrets/{name}" for name in secrets
    }
    for service in services:
        assert set(service.get("depends_on", {})) <= set(found["services"])
        for value in service.get("environment", {}).values():
            if value.startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_what_cards_add_to_the_services_is_a_worker_for_the_first_card() -> None:
    services, cards = compose()["services"], services_with_cards()

    assert set(cards) - set(services) == {"gpu0"}
    own = {"command", "deploy", "image", "build", "scale", "pull_policy"}
    assert {key: value for key, value in cards["gpu0"].items() if key not in own} == {
        key: value for key, value in services["worker"].items() if key not in own
    }
    images = {service["image"] for service in cards.values() if "deepcredit:" in service["image"]}
    assert images == {"deepcredit:cuda"}
    [device] = cards["gpu0"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
    assert "--gpu" in cards["gpu0"]["command"]
    assert "--gpu" not in cards["worker"]["command"]
    assert "deploy" not in cards["worker"]


def test_every_service_that_stays_is_watched_and_waits_for_no_unwatched_one() -> None:
    services = compose()["services"]

    for name, service in services.items():
        once = service["healthcheck"].get("disable", False)
        assert once == (service["restart"] == "no"), name
        for other, needed in service.get("depends_on", {}).items():
            ends = needed["condition"] == "service_completed_successfully"
            assert ends == services[other]["healthcheck"].get("disable", False)


def test_settings_are_known_and_secrets_come_from_files(tmp_path: Path) -> None:
    for name, service in compose()["services"].items():
        given = {**image_environment("cpu"), **service.get("environment", {})}
        passwords = [key for key in given if "PASSWORD" in key and not key.endswith("_FILE")]
        assert not passwords, name
        secret = tmp_path / "secret"
        secret.write_text("s")
        files = {"DEEPCREDIT_DATABASE_PASSWORD_FILE": str(secret)}
        load(
            environ={key: files.get(key, value) for key, value in given.items()},
            file=tmp_path / "0",
        )


@pytest.mark.parametrize(("file", "target"), RUNTIMES)
def test_images_run_as_a_user_who_is_not_root(file: str, target: str | None) -> None:
    found = instructions(file, target)

    assert [rest for word, rest in found if word == "USER"] == ["10001:10001"]
    assert found.index(("USER", "10001:10001")) > max(
        number for number, (word, _) in enumerate(found) if word in ("RUN", "COPY")
    )


def test_both_targets_are_alike_but_for_what_they_are_made_from() -> None:
    cpu, cuda = (instructions("Dockerfile", target)[2:] for target in ("cpu", "cuda"))

    assert cpu == cuda
    assert image_environment("cpu")["PYTHONSAFEPATH"] == "1"


def test_a_launcher_is_asked_for_by_the_name_that_it_has() -> None:
    launcher = compose()["services"]["launcher"]

    *_, name = launcher["command"]
    assert launcher["healthcheck"]["test"] == ["CMD", "deepcredit", "doctor", "--launcher", name]


def test_what_an_image_copies_is_not_ignored_by_its_build() -> None:
    kept = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    packages = {path.parent.name for path in DOCKER.parent.glob("*/__init__.py")}

    assert {f"!{name}" for name in packages - {"tests"}} <= set(kept)
    assert "*" in kept
    assert not any("docker" in line or "secrets" in line for line in kept if line[:1] == "!")


def test_no_secret_goes_to_the_builder_of_the_server_of_the_store() -> None:
    """Its context is the folder that holds them."""
    lines = (DOCKER / "sftp.Dockerfile.dockerignore").read_text().splitlines()
    copied = {rest.split()[0] for word, rest in instructions("sftp.Dockerfile") if word == "COPY"}

    assert [line for line in lines if not line.startswith("#")] == ["*", *(f"!{c}" for c in copied)]


def test_no_log_of_a_container_grows_for_ever() -> None:
    for name, service in services_with_cards().items():
        assert service["logging"] == {"driver": "local"}, name


def test_root_of_the_database_comes_from_its_own_container_alone() -> None:
    assert compose()["services"]["mariadb"]["environment"]["MARIADB_ROOT_HOST"] == "localhost"


def test_a_new_version_changes_no_table_under_a_launcher_that_runs() -> None:
    """`up` would make the tables new first, and end the launcher, who waits for that, last."""
    page = (DOCKER / "README.md").read_text(encoding="utf-8")
    (steps,) = re.findall(r"^\| a new version.*\| `(.*)`; ", page, re.MULTILINE)

    assert steps.split(" && ") == [
        "docker compose build",
        "docker compose stop launcher",
        "docker compose up --detach",
    ]
    assert "migrate" in compose()["services"]["launcher"]["depends_on"]


def test_no_file_has_a_password_in_it() -> None:
    pattern = re.compile(r"(password|passphrase|secret|token)\s*[:=]\s*\S", re.IGNORECASE)
    for file in FILES:
        lines = (DOCKER / file).read_text().splitlines()
        assert not [line for line in lines if pattern.search(line) and "_FILE" not in line], file


def test_secrets_once_made_stay_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [DOCKER / "make-secrets", folder]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("sftp_authorized_keys", "sftp_known_hosts"):
        with (folder / name).open("a") as file:
            file.write("of another server\n")
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    subprocess.run(command, check=True, capture_output=True)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert set(compose()["secrets"]) <= set(first)
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


@pytest.mark.slow
def test_the_whole_comes_up_in_order_trains_a_batch_and_stops(tmp_path: Path) -> None:
    try:
        with stack(tmp_path / "host") as host:
            _bring_up_and_train(host, tmp_path)
    except MariaDBMissing as error:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(str(error))


def _bring_up_and_train(host: Stack, folder: Path) -> None:
    served = ("mariadb", "sftp", "scheduler", "worker")
    assert [name for name in served if host.check(name) == 0] == ["mariadb"]

    order = host.up()

    assert order.index("migrate") > order.index("mariadb")
    assert order[-1] == "launcher"
    found = load(environ=host.environment("launcher"), file=folder / "none")
    with open_desk(found, folder) as desk:
        desk.load(applicants(), id_column="id")
        desk.models(XGB)
        batch_id = desk.add()
        until(lambda: "launcher started" in host.log("launcher").read_text(), 60)
        until(lambda: host.check("launcher") == 0, 60)  # while it is at work
        state = select(dc_batch.c.state).where(dc_batch.c.batch_id == batch_id)

        def ended() -> bool:
            with reading(desk.engine) as connection:
                return connection.scalar(state) in ("C", "E")

        until(ended, 150)
        assert desk.read(batch_id).state == "C", host.logs()
        assert len(desk.results(batch_id)) == 2
    _add_cards(host)
    assert list((host.folder / "srv" / "store" / "models").rglob("*.scores.safetensors"))
    launcher = host.processes["launcher"]
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(60) == 0, host.logs()
    assert host.check("launcher") == 1
    _lose_everything_and_restore_it(host)
    variables = host.mariadb.client("SELECT @@binlog_format, @@max_connections")
    assert variables.split() == ["MIXED", "500"]


def _lose_everything_and_restore_it(host: Stack) -> None:
    """By the commands of the page, of which `docker compose exec` is a process of this machine."""
    backup, restore = (block.text for block in blocks(DOCKER / "README.md"))
    count = "SELECT COUNT(*) FROM dc_model"
    before = host.stored(), host.mariadb.client(count, "deepcredit")

    host.shell(backup)
    host.mariadb.client("DROP DATABASE deepcredit; CREATE DATABASE deepcredit")
    for path in (host.folder / "srv" / "store").iterdir():
        shutil.rmtree(path)
    said = host.shell(restore)

    assert (host.stored(), host.mariadb.client(count, "deepcredit")) == before
    assert before[1].strip() == "1"
    assert "\n0 missing;" in said
    assert {path.name for path in (host.folder / "backup").iterdir()} == {
        "database.sql.gz",
        "store.tar",
    }


def _add_cards(host: Stack) -> None:
    """With the workers of compose.cuda.yaml fits go where they are meant to."""
    cards = services_with_cards()
    host.services = {**host.services, "cpu": cards["worker"], "gpu0": cards["gpu0"]}
    host.processes["worker"].terminate()
    for name in ("cpu", "gpu0"):
        host.start(name)
    with closing(connect(f"tcp://127.0.0.1:{host.ports['8786']}")) as executor:
        until(lambda: len(executor.link.look()) == 2, 60)
        workers = executor.link.look()
    assert place(Need(memory_mb=2000, gpu=0.25), workers).resources == {"GPU": 0.25, "MEMORY": 2000}
    assert place(Need(memory_mb=2000), workers).resources.keys() == {"CPU"}
    # Up to four fits share the card, but no more than there are cores.
    found = sorted((w.memory_mb or 0, w.threads) for w in workers)
    assert found == [(4096 - OWN_MB, 1), (16384 - OWN_MB, min(4, cores()))]
