"""What befalls the database as a whole, and a bare way to speak to it meanwhile."""

import random
import time
from collections import Counter
from dataclasses import dataclass

from tests.mariadb import PASSWORD, MariaDB

USER = "chaos"  # without the privilege to write to a server that is read-only
_ZONES = ("+00:00", "+09:00", "-11:00", "+13:00")


@dataclass
class Database:
    """One database on a server of the campaign's own; `done` counts what was done to it."""

    server: MariaDB
    name: str
    dice: random.Random
    done: Counter[str]

    def __post_init__(self) -> None:
        self.ask(f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        self.ask(f"GRANT ALL ON `{self.name}`.* TO {USER}@'127.0.0.1'")

    def url(self) -> str:
        return self.server.url(self.name, user=USER)

    def ask(self, statement: str) -> list[str]:
        """The first column; tried again, since our own connection is killed like others."""
        for _ in range(100):
            try:
                with self.server.connect(self.name) as connection, connection.cursor() as cursor:
                    cursor.execute(statement)
                    return [str(row[0]) for row in cursor.fetchall()]
            except Exception as error:
                last = error
                time.sleep(0.05)
        raise last

    def kill_connection(self) -> None:
        ids = self.ask(
            "SELECT id FROM information_schema.processlist "
            f"WHERE db = '{self.name}' AND user = '{USER}'"
        )
        if not ids:
            return
        with self.server.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"KILL CONNECTION {self.dice.choice(ids)}")
            except Exception as error:
                if "Unknown thread" not in str(error):  # it has left by itself
                    raise
        self.done["connections killed"] += 1

    def change_zone(self) -> None:
        """Of sessions that do not say which they want, from now on."""
        self.ask(f"SET GLOBAL time_zone = '{self.dice.choice(_ZONES)}'")
        self.done["time zone of the server changed"] += 1

    def trouble(self, number: int, lease_seconds: float) -> None:
        """One kind after the other."""
        (self.restart, self._refuse_writes, self._stay_away, self._stop)[number % 4](lease_seconds)

    def restart(self, _lease_seconds: float = 0) -> None:
        self.server.kill()
        self.server.start()
        self.done["database killed and restarted"] += 1

    def _refuse_writes(self, lease_seconds: float) -> None:
        self.ask("SET GLOBAL read_only = 1")
        time.sleep(0.7 * lease_seconds)
        self.ask("SET GLOBAL read_only = 0")
        self.done["database read-only for a while"] += 1

    def _stay_away(self, lease_seconds: float) -> None:
        self.server.kill()
        time.sleep(2 * lease_seconds)
        self.server.start()
        self.done["database away for longer than the lease"] += 1

    def _stop(self, _lease_seconds: float) -> None:
        self.server.stop()
        self.server.start()
        self.done["database stopped in order and started"] += 1
