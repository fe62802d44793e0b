"""Telling systemd how the launcher stands (sd_notify): a datagram to the socket that it names."""

import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)


class Notifier:
    """Says nothing where no service manager listens, and never fails."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of Linux's abstract names.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        watched = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog = watched and "WATCHDOG_USEC" in environ

    def ready(self, status: str) -> None:
        """The launcher is up; `status` is what `systemctl status` shows."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self, status: str) -> None:
        self._send(f"STOPPING=1\nSTATUS={status}")

    def alive(self) -> None:
        """To be called more often than the unit's WatchdogSec."""
        if self._watchdog:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1)
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("cannot tell the service manager", error=str(error))
