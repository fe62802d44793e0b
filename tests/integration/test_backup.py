"""Backup and restore by the commands of docs/upgrades-and-backup.md, while batches go on."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from configs.errors import StoreNotOurs
from configs.metric_names import METRICS
from configs.settings import Settings
from storage import migrate, queues, taking
from storage.engine import reading, transaction
from storage.offers import Offer
from storage.schema import dc_batch, dc_queue
from tests.bank import ROOT, environment
from tests.blocks import blocks
from tests.conftest import SettingsFactory
from tests.desk import XGB, Desk, applicants, open_desk
from tests.mariadb import PASSWORD, USER, MariaDB

PAGE = blocks(ROOT / "docs" / "upgrades-and-backup.md")
PAUSE, RESUME, BECOME_ANOTHER = (block.text for block in PAGE if block.language == "sql")
BACKUP, EMBEDDED, RESTORE, CHECK = (block.text for block in PAGE if block.language == "bash")
FIGURES = ("model_no", "model_sub_no", "split", "n_rows", "threshold", "tn", "fp", "fn", "tp")


@dataclass(frozen=True)
class Shell:
    """A person's, whose ~/.my.cnf knows the server."""

    folder: Path
    server: MariaDB

    def run(self, script: str, *, expect: int = 0, **variables: str) -> str:
        env = environment(self.folder) | {"HOME": str(self.folder)} | variables
        env["PATH"] = f"{self.folder}{os.pathsep}{env['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path, mariadb_server: MariaDB) -> Shell:
    folder = tmp_path / "home"
    folder.mkdir()
    _write_account(folder, mariadb_server, USER)
    command = folder / "deepcredit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m launcher "$@"\n')
    command.chmod(0o755)
    return Shell(folder, mariadb_server)


def _write_account(folder: Path, server: MariaDB, user: str) -> None:
    account = {"host": "127.0.0.1", "port": str(server.port), "protocol": "tcp"}
    account |= {"user": user, "password": f'"{PASSWORD}"'}
    lines = "".join(f"{name}={value}\n" for name, value in account.items())
    (folder / ".my.cnf").write_text(f"[client]\n{lines}")


def figures(desk: Desk, batch_id: int) -> list[Mapping[str, object]]:
    return [
        {name: getattr(row, name) for name in (*FIGURES, *METRICS)}
        for row in desk.results(batch_id)
    ]


def _place(settings: SettingsFactory, server: MariaDB, database: str, folder: Path) -> Settings:
    return settings(
        **server.settings(database), store_url=str(folder / "store"), cache_dir=folder / "cache"
    )


@pytest.mark.slow
def test_what_was_restored_predicts_as_before(
    shell: Shell,
    mariadb_server: MariaDB,
    mariadb_settings: Settings,
    settings: SettingsFactory,
    tmp_path: Path,
) -> None:
    database = mariadb_settings.database_url.rpartition("/")[2].partition("?")[0]
    restored = f"{database}_restored"
    backup = str(tmp_path / "backup")
    dump, copy = BACKUP.split("\ntar", 1)
    beginning = dump.partition("mkdir")[0]
    with open_desk(mariadb_settings, tmp_path) as desk:
        desk.load(applicants(), id_column="id")
        desk.models(XGB)
        trained = desk.train()
        places = {"DATABASE": database, "STORE": mariadb_settings.store_url, "BACKUP": backup}
        shell.run(dump, **places)
        later = desk.train('{"randomState": 7}')
        shell.run(f"{beginning}tar{copy}", **places)
        assert {path.stat().st_mode & 0o777 for path in Path(backup).iterdir()} == {0o600}
        predicted = _predict(desk, trained)
        before = figures(desk, trained), figures(desk, predicted)
        uri = desk.trained(later)[0].scores_uri

    host = tmp_path / "other"
    shell.run(RESTORE, DATABASE=restored, STORE=str(host / "store"), BACKUP=backup)
    found = _place(settings, mariadb_server, restored, host)
    said = shell.run(
        CHECK,
        DEEPCREDIT_DATABASE_URL=found.database_url,
        DEEPCREDIT_DATABASE_PASSWORD=PASSWORD,
        DEEPCREDIT_STORE_URL=found.store_url,
    )
    assert uri in said  # trained between the dump and the copy
    with open_desk(found, tmp_path) as desk:
        with reading(desk.engine) as connection:
            assert connection.scalars(select(dc_batch.c.batch_id)).all() == [trained]
        again = _predict(desk, trained)
        assert (figures(desk, trained), figures(desk, again)) == before
        # Its number and so the names of its files are those of the batch that the dump lacks.
        assert figures(desk, _predict(desk, desk.train('{"randomState": 8}')))
        mariadb_server.client(BECOME_ANOTHER, restored)
        with pytest.raises(StoreNotOurs):
            desk.train()
    mariadb_server.drop_database(restored)


def test_another_account_may_restore_what_it_then_owns(
    shell: Shell, mariadb_server: MariaDB, mariadb_settings: Settings, tmp_path: Path
) -> None:
    database = mariadb_settings.database_url.rpartition("/")[2].partition("?")[0]
    other, store = f"{database}_other", tmp_path / "store"
    store.mkdir()
    shell.run(BACKUP, DATABASE=database, STORE=str(store), BACKUP=str(tmp_path / "backup"))
    mariadb_server.client(
        f"CREATE USER 'another'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
        f"GRANT ALL ON `{other}`.* TO 'another'@'127.0.0.1';"
    )
    _write_account(shell.folder, mariadb_server, "another")

    shell.run(RESTORE, DATABASE=other, STORE=str(store), BACKUP=str(tmp_path / "backup"))

    definers = f"SELECT DISTINCT definer FROM information_schema.views WHERE table_schema='{other}'"
    assert mariadb_server.client(definers).split() == ["another@127.0.0.1"]
    found = "SELECT COUNT(*) FROM v_batch"
    assert mariadb_server.client(found, other, user="another").split() == ["0"]
    mariadb_server.client("DROP USER 'another'@'127.0.0.1'")
    mariadb_server.drop_database(other)


def test_the_embedded_database_and_its_store_are_copied_while_they_are_in_use(
    settings: SettingsFactory, tmp_path: Path
) -> None:
    given = {"database_url": f"sqlite:///{tmp_path}/var/deepcredit.db"}
    backup, store = tmp_path / "backup", tmp_path / "var" / "store"
    (tmp_path / "var").mkdir()
    with open_desk(settings(**given, store_url=str(store)), tmp_path) as desk:
        migrate.upgrade(desk.engine, lambda _: None)
        desk.load(applicants(), id_column="id")
        desk.models(XGB)
        trained = desk.train()
        with desk.engine.begin() as writing:  # somebody is in the middle of a change
            writing.execute(delete(dc_batch))
            for _ in range(2):
                _run(EMBEDDED, tmp_path, BACKUP=str(backup))
            writing.rollback()

    (tmp_path / "other" / "store").mkdir(parents=True)
    _run("cp backup/deepcredit.db other; tar -C other/store -xf backup/store.tar", tmp_path)
    copy = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/other/deepcredit.db",
        "STORE_URL": str(tmp_path / "other" / "store"),
    }
    command = [sys.executable, "-P", "-m", "launcher"]
    for words in (["db", "check"], ["store", "check"], ["results", str(trained)]):
        subprocess.run(
            [*command, *words], env=environment(tmp_path, **copy), cwd=tmp_path, check=True
        )


def _run(script: str, folder: Path, **variables: str) -> None:
    subprocess.run(["bash", "-euc", script], cwd=folder, env=os.environ | variables, check=True)


def test_a_backup_whose_copy_fails_leaves_the_last_one_as_it_was(
    shell: Shell, mariadb_server: MariaDB, mariadb_settings: Settings, tmp_path: Path
) -> None:
    """A new dump beside an old copy would name files that the copy lacks."""
    database = mariadb_settings.database_url.rpartition("/")[2].partition("?")[0]
    backup, store = tmp_path / "backup", tmp_path / "store"
    store.mkdir()
    places = {"DATABASE": database, "BACKUP": str(backup)}
    shell.run(BACKUP, STORE=str(store), **places)
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    mariadb_server.client("CREATE TABLE more (id INT)", database)

    shell.run(BACKUP, STORE=str(tmp_path / "not mounted"), expect=1, **places)

    assert set(before) == {"database.sql.gz", "store.tar"}
    assert {name: (backup / name).read_bytes() for name in before} == before


def _predict(desk: Desk, train_batch_id: int) -> int:
    batch_id = desk.add(mode="predict", train_batch_id=train_batch_id, model_group=None)
    desk.run(batch_id)
    return batch_id


def test_queues_stand_still_for_an_upgrade_and_go_on(
    mariadb_server: MariaDB, mariadb_settings: Settings, tmp_path: Path
) -> None:
    database = mariadb_settings.database_url.rpartition("/")[2].partition("?")[0]
    with open_desk(mariadb_settings, tmp_path) as desk:
        desk.add(queue="night")
        transaction(desk.engine, lambda connection: queues.pause(connection, "held"))
        paused = select(dc_queue.c.queue).where(dc_queue.c.paused != 0).order_by(dc_queue.c.queue)

        mariadb_server.client(PAUSE, database)

        with reading(desk.engine) as connection:
            assert connection.scalars(paused).all() == ["default", "held", "night"]
            assert not taking.claimable(connection, Offer(server="", queues=("night",)))
        mariadb_server.client(RESUME, database)
        with reading(desk.engine) as connection:
            assert connection.scalars(paused).all() == ["held"]
            assert connection.scalar(select(func.count()).select_from(dc_queue)) == 3
        transaction(desk.engine, lambda connection: connection.execute(delete(dc_queue)))
