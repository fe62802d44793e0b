"""A launcher under a service manager: what it says, and the unit file."""

import configparser
import re
import shutil
import socket
import subprocess

import pytest

from configs.settings import PREFIX, SECRETS, Settings
from launcher.service.metrics import Metrics
from launcher.service.notify import Notifier
from tests.bank import ROOT
from tests.runs import QUICK, Runs, in_thread
from tests.waiting import until

UNIT = ROOT / "docs" / "deepcredit@.service"
PAGE = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager with a watchdog, and what makes a notifier for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(10)
        yield receiver


def notifier(manager):
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1"})


def section(name):
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    return unit[name]


def test_a_launcher_says_when_it_is_ready_alive_and_stopping(sqlite_settings, tmp_path, manager):
    runs = Runs(sqlite_settings.model_copy(update=QUICK), tmp_path)
    heard = []

    def hear():
        heard.append(manager.recv(1000).decode())
        return heard[-1]

    with in_thread(runs.daemon("succeed", notifier=notifier(manager))):
        assert hear() == "READY=1\nSTATUS=B claims batches"
        until(lambda: hear() == "WATCHDOG=1")
    until(lambda: hear() == "STOPPING=1\nSTATUS=stopping: now")
    runs.engine.dispose()


def test_a_launcher_without_a_database_is_up_and_says_what_it_waits_for(
    settings, tmp_path, manager
):
    away = settings(database_url="mariadb+pymysql://nobody@127.0.0.1:1/nothing", **QUICK)
    runs = Runs(away, tmp_path)

    with in_thread(runs.daemon("succeed", notifier=notifier(manager))):
        assert manager.recv(1000) == b"READY=1\nSTATUS=waits for the database"


def test_the_unit_stops_a_launcher_gently():
    service = section("Service")

    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) >= Settings().grace_seconds + 30
    assert int(service["WatchdogSec"]) > 2 * Settings().lease_seconds
    assert service["EnvironmentFile"]


def test_the_page_names_settings_that_there_are():
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}

    assert set(re.findall(rf"^({PREFIX}\w+)=", PAGE, re.MULTILINE)) <= known


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_no_fault_with_the_unit(tmp_path):
    text = UNIT.read_text(encoding="utf-8")
    program = section("Service")["ExecStart"].split()[0]
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(program, "/bin/true"), encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert ours == []


def test_the_page_on_metrics_names_every_metric(sqlite_engine):
    metrics = Metrics()
    metrics.watch(sqlite_engine, lambda: 0.0)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.registry.collect()
    }

    assert {
        re.sub(r"\{.*", "", name) for name in re.findall(r"^\| `([^`]+)`", METRICS, re.MULTILINE)
    } == names
