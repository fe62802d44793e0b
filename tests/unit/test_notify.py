import os
import socket
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from launcher.service.notify import Notifier


@pytest.fixture
def listening(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def test_it_says_how_the_launcher_stands(listening):
    notifier = Notifier({"NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": "1000000"})

    notifier.ready("claims batches")
    notifier.alive()
    notifier.stopping("drains")

    assert [listening.recv(1000).decode() for _ in range(3)] == [
        "READY=1\nSTATUS=claims batches",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=drains",
    ]


def test_without_a_watchdog_of_ours_it_does_not_beat(listening):
    address = {"NOTIFY_SOCKET": listening.getsockname()}
    Notifier(address).alive()
    Notifier(address | {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).alive()
    Notifier(address | {"WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}).alive()

    assert listening.recv(1000) == b"WATCHDOG=1"
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(1000)


def test_abstract_names_begin_with_an_at_sign():
    name = f"deepcredit-{uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)

        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready("")

        assert receiver.recv(1000).startswith(b"READY=1")


@pytest.mark.parametrize(
    ("environ", "said"),
    [({}, []), ({"NOTIFY_SOCKET": "/nowhere/at/all"}, ["cannot tell the service manager"])],
)
def test_nobody_listening_is_no_failure(environ, said):
    with capture_logs() as logs:
        Notifier(environ).ready("claims batches")

    assert [log["event"] for log in logs] == said
