"""A private MariaDB server in a folder, for tests and benchmarks. Needs mariadbd, no network."""

import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL

from tests.certificate import make_certificate
from tests.ports import free_port
from tests.programs import program

USER = "deepcredit"
PASSWORD = "p@ss/w:rd%"  # awkward on purpose: it must survive every URL and file

_START_SECONDS = 60
_LOG = "--innodb-log-file-size=32M"  # made with the data; another size would have it made again
# An unusual zone, so that a local time in place of UTC is nine hours wrong and gets noticed.
_OPTIONS = (
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--default-time-zone=+09:00",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=128M",
    _LOG,
    "--max-connections=500",
    "--local-infile=1",
)
# A test's data need not survive a power cut.
NOT_DURABLE = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-flush-method=nosync",
    "--skip-sync-frm",
)
# What was committed is there after the server was killed: the system has it, if not yet the disk.
DURABLE = ("--innodb-flush-log-at-trx-commit=2",)


class MariaDBMissing(Exception):
    """mariadbd is not installed; on Debian: apt-get install mariadb-server"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass
class MariaDB:
    """A running server. `USER` may do everything on it, with `PASSWORD`."""

    folder: Path
    port: int
    options: Sequence[str]
    process: subprocess.Popen[bytes] = field(init=False)
    _names: Iterator[int] = field(init=False, default_factory=itertools.count)

    @property
    def certificate(self) -> Path:
        """Of the server, and of the authority that vouches for it."""
        return self.folder / "server.pem"

    def start(self) -> None:
        """Returns once the server answers; a second start finds the data of the first."""
        log = (self.folder / "mariadbd.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [
                    str(program("mariadbd")),
                    *_OPTIONS,
                    *self.options,
                    *_as_root(),
                    f"--init-file={self.folder / 'users.sql'}",
                    f"--datadir={self.folder / 'data'}",
                    f"--ssl-cert={self.certificate}",
                    f"--ssl-key={self.certificate.with_suffix('.key')}",
                    _temporary(self.folder),
                    f"--port={self.port}",
                    "--socket=mariadbd.sock",  # relative to the data: a long path would not fit
                    "--pid-file=mariadbd.pid",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
            )
        self._wait()

    def stop(self) -> None:
        """Shut down in order, as a service manager would."""
        self.process.terminate()
        self._reap()

    def kill(self) -> None:
        """What a power cut does."""
        self.process.kill()
        self._reap()

    def url(self, database: str = "", *, user: str = USER) -> str:
        """Without the password, as DEEPCREDIT_DATABASE_URL must be."""
        url = URL.create(
            "mariadb+pymysql",
            user,
            host="127.0.0.1",
            port=self.port,
            database=database or None,
            query={"ssl_disabled": "true"},  # to prepare for TLS takes long
        )
        return url.render_as_string(hide_password=False)

    def settings(self, database: str) -> dict[str, Any]:
        """Overrides for configs.settings.load."""
        return {"database_url": self.url(database), "database_password": PASSWORD}

    def client(
        self, sql: str, database: str = "", *, user: str = USER, password: str = PASSWORD
    ) -> str:
        """What the `mariadb` command line prints for `sql`, tab separated, without headings.

        Raises subprocess.CalledProcessError with the client's words in `stderr`.
        """
        done = subprocess.run(
            [
                "mariadb",
                "--no-defaults",
                "--protocol=tcp",
                "--skip-ssl",  # to prepare for TLS takes longer than all the rest
                "--host=127.0.0.1",
                f"--port={self.port}",
                f"--user={user}",
                "--default-character-set=utf8mb4",
                "--batch",
                "--skip-column-names",
                *([f"--database={database}"] if database else []),
            ],
            input=sql,
            env={**os.environ, "MYSQL_PWD": password},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        )
        return done.stdout

    def connect(
        self, database: str = ""
    ) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
        """A bare connection of the driver, autocommit, in the server's own zone and isolation."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            database=database or None,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,
        )

    def new_database(self) -> str:
        """An empty database under a name of its own."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return name

    def drop_database(self, name: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect().close()
            except pymysql.err.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    self._reap()
                    text = (self.folder / "mariadbd.log").read_text(errors="replace")
                    raise RuntimeError(f"mariadbd did not start:\n{text[-2000:]}") from error
                time.sleep(0.02)
            else:
                return

    def _reap(self) -> None:
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)


@contextmanager
def running_mariadb(folder: Path, options: Sequence[str] = NOT_DURABLE) -> Iterator[MariaDB]:
    """Start a server with its data in `folder`, and stop it at the end.

    Raises:
        MariaDBMissing: it is not installed.
    """
    if not (program("mariadbd") and program("mariadb-install-db")):
        raise MariaDBMissing
    _install(folder)
    server = MariaDB(folder, free_port(), options)
    try:
        server.start()
    except RuntimeError:  # somebody took the port between our look and the start
        server.port = free_port()
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _install(folder: Path) -> None:
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    make_certificate(folder)
    escaped = PASSWORD.replace("'", "''")
    (folder / "users.sql").write_text(
        f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{escaped}';\n"
        f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    subprocess.run(
        [
            str(program("mariadb-install-db")),
            "--no-defaults",
            *_as_root(),
            f"--datadir={folder / 'data'}",
            _temporary(folder),
            _LOG,
            "--innodb-flush-method=nosync",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )


def _temporary(folder: Path) -> str:
    """Its own, for a server that starts deletes the temporary tables of all that share it."""
    return f"--tmpdir={folder / 'tmp'}"


def _as_root() -> tuple[str, ...]:
    return ("--user=root",) if os.getuid() == 0 else ()
