"""`deepcredit doctor`: is this installation in order, and what to do if not."""

import re
from pathlib import Path

import pytest
from sqlalchemy import literal, update

from storage import batches, servers
from storage.columns import utc_now
from storage.schema import dc_server
from tests.calls import Calls
from tests.mariadb import MariaDB
from tests.terminal import APPLICANTS, Terminal

TRAIN = ("train", "--dataset", "DATA001/1", "--model-group", "M100")


def found(run: Terminal, level: str, subject: str) -> list[str]:
    return re.findall(f"^{level} +{subject} +(.*)$", run("doctor")[1], re.MULTILINE)


def test_doctor_finds_the_embedded_installation_in_order(run: Terminal) -> None:
    code, out, _ = run("doctor")

    assert code == 0, out
    assert "FAIL" not in out
    for subject in (
        *("settings", "database", "schema", "clock", "model store", "store owner"),
        *("disk", "dask", "gpu"),
    ):
        assert re.search(rf"^(OK|WARN) +{subject} ", out, re.MULTILINE), subject


def test_doctor_finds_what_was_deleted_by_hand_and_what_that_left(
    run: Terminal, calls: Calls
) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    run("dataset", "load", "a.csv", "--group", "D1", "--target", "연체")
    whole = "every table and column belongs to a data set"
    assert found(run, "OK", "data sets") == [whole]

    calls.sql("ALTER TABLE dc_data_d1_1 RENAME TO away")
    assert "there is no table or view dc_data_d1_1" in found(run, "WARN", "data sets")[0]
    assert "dc_data_d1_1" not in run("doctor", "--role", "operator")[1]
    calls.sql("ALTER TABLE away RENAME TO dc_data_d1_1")

    calls.sql("DELETE FROM dc_dataset")

    assert run("doctor")[0] == 0
    assert "DROP TABLE dc_data_d1_1" in found(run, "WARN", "data sets")[0]


def test_doctor_sees_a_secret_that_everybody_may_read(
    run: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("password", "key"):
        Path(name).touch(mode=0o600)
    monkeypatch.setenv("DEEPCREDIT_SFTP_PASSWORD_FILE", "password")
    monkeypatch.setenv("DEEPCREDIT_SFTP_KEY_FILE", "key")
    assert found(run, "WARN", "settings") == []

    for name in ("password", "key"):
        Path(name).chmod(0o644)

    open_to_all = "{}: everybody may use this file of a secret; chmod 600 it"
    assert found(run, "WARN", "settings") == [*map(open_to_all.format, ("password", "key"))]


def test_doctor_leaves_no_folder_that_it_made(run: Terminal) -> None:
    run("doctor")
    assert not Path("logs").exists()  # of root, they would be closed to a launcher's account
    assert not Path("var/cache").exists()

    Path("logs").mkdir()
    code, out, _ = run("doctor")

    assert code == 0, out
    assert list(Path("logs").iterdir()) == []


def test_doctor_says_what_to_do_about_what_is_not(bare: Terminal) -> None:
    Path("file").touch()

    code, out, _ = bare("--store-url", "file/store", "--scheduler", "tcp://127.0.0.1:9", "doctor")

    assert code == 1
    assert re.search("^FAIL +database .*run `deepcredit db upgrade`", out, re.MULTILINE)
    assert re.search("^FAIL +model store ", out, re.MULTILINE)
    assert re.search("^FAIL +dask .*DEEPCREDIT_SCHEDULER", out, re.MULTILINE)


def test_doctor_sees_that_batches_wait_and_nobody_runs_them(run: Terminal, calls: Calls) -> None:
    assert found(run, "OK", "launchers") == ["none runs, and no batch waits"]
    for columns in ({}, {"queue": "nigth", "need_tag": "gpu"}, {"queue": "nigth"}, {}):
        calls.add(**columns)
    start = "no launcher runs; start one with `deepcredit launcher SERVER_ID"
    assert found(run, "WARN", "launchers") == [
        f"batch 1 waits: {start}`",
        f"batch 2 waits: {start} --queue nigth --tag gpu`",
        f"batch 3 waits: {start} --queue nigth`",
    ]
    run("queue", "pause", "nigth")
    paused = "batch 2 waits: queue nigth is paused; `deepcredit queue resume nigth`"
    assert found(run, "WARN", "launchers")[1] == paused


def _silence(calls: Calls, name: str) -> None:
    """As if the launcher had been killed five minutes ago."""
    here, long_ago = dc_server.c.serve_server_id == name, utc_now(literal(-300))
    calls(lambda c: c.execute(update(dc_server).where(here).values(last_seen=long_ago)))


def test_a_mistyped_queue_is_told_from_one_whose_launcher_is_missing(
    stocked: Terminal, calls: Calls
) -> None:
    def added(queue: str) -> tuple[str, ...]:
        return stocked("batch", "add", "--mode", *TRAIN, "--queue", queue)[1:]

    def warned() -> list[str]:
        return found(stocked, "WARN", "launchers")

    mend = "then `UPDATE dc_batch SET queue = '{}' WHERE queue = '{}'`; if not, "
    assert added("defualt") == ("1\n", "")  # nobody is at work yet, so who knows
    start = "start one with `deepcredit launcher SERVER_ID --queue"
    assert warned() == [
        (
            "batch 1 waits: no launcher runs; did you mean default? "
            f"{mend.format('default', 'defualt')}{start} defualt`"
        )
    ]

    calls.register("S1", queues=["urgent", "default"])
    calls.register("S2", queues=["nights"])
    _silence(calls, "S2")
    assert added("urgent") == ("2\n", "")
    missing = "no launcher serves queue"
    served = "served: default, urgent\n"
    assert added("urgnet") == ("3\n", f"note: {missing} urgnet; did you mean urgent? {served}")
    assert added("night's") == ("4\n", f"note: {missing} night's; {served}")
    calls.change(1, state="C")
    assert warned()[1:] == [
        (
            f"batch 3 waits: {missing} urgnet; did you mean urgent? "
            f"{mend.format('urgent', 'urgnet')}{start} urgnet`"
        ),
        f"batch 4 waits: {missing} night's; {start} 'night'\"'\"'s'`",
    ]
    assert warned()[0].startswith("S2 on h was last heard of at ")

    (remedy,) = re.findall("`(UPDATE .*?)`", warned()[1])
    calls.sql(remedy)
    assert [line for line in warned() if "batch 3" in line] == []
    assert "urgent" in stocked("batch", "show", "3")[1]


def test_doctor_looks_whether_one_launcher_is_at_work(run: Terminal, calls: Calls) -> None:
    """What watches a process must notice, too, that its loop has stopped."""

    def heard(name: str) -> tuple[int, str]:
        code, out, _ = run("doctor", "--launcher", name)
        return code, re.sub(" {2,}", " ", out).strip()

    for name in ("S1", "S2", "S3"):
        calls.register(name)
    calls(servers.pause, "S2")
    calls(servers.remove, "S2", "S2")
    _silence(calls, "S3")

    code, said = heard("S1")
    assert (code, said.partition(" of ")[0]) == (0, "OK launcher S1 was heard")
    for name in ("S2", "S4"):
        said = f"FAIL launcher {name} does not run; start it: deepcredit launcher {name}"
        assert heard(name) == (1, said)
    code, said = heard("S3")
    assert (code, said.partition(" for ")[0]) == (1, "FAIL launcher S3 has not been heard of")


def test_doctor_names_batches_that_no_launcher_will_ever_take(run: Terminal, calls: Calls) -> None:
    def warned() -> list[str]:
        return found(run, "WARN", "launchers")

    calls.register("S1")
    calls.add()
    assert warned() == []
    assert "S1 on h, 2 slots, queue default, no tags, last seen " in run("doctor")[1]

    run("server", "pause", "S1")
    on_q = {"queue": "q", "need_tag": "big"}
    for columns in (on_q, on_q, {"need_tag": "gpu"}, {"queue": "r"}):
        calls.add(**columns)
    assert warned() == [
        "batch 1 waits: every launcher for it is paused (S1); `deepcredit server resume S1`",
        (
            "batch 2 waits: no launcher serves queue q; "
            "start one with `deepcredit launcher SERVER_ID --queue q --tag big`"
        ),
        (
            "batch 4 waits: no launcher of queue default has tag gpu; "
            "start one with `deepcredit launcher SERVER_ID --tag gpu`"
        ),
    ]

    run("server", "resume", "S1")
    run("queue", "pause", "r")
    calls.register("S2", queues=["q", "default"], tags=["gpu", "big"])
    assert warned() == ["batch 5 waits: queue r is paused; `deepcredit queue resume r`"]
    assert "queues q and default, tags gpu and big, " in run("doctor")[1]


def test_doctor_names_the_rights_that_an_account_lacks(
    bare: Terminal, database: str, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare("db", "upgrade")
    code, out, err = bare("--debug", "doctor")
    assert code == 0, out + err
    assert re.search("^WARN +database .*innodb_flush_log_at_trx_commit", out, re.MULTILINE)
    mariadb_server.client(
        "CREATE USER IF NOT EXISTS 'reads'@'%' IDENTIFIED BY 'only';"
        f"GRANT SELECT ON `{database}`.* TO 'reads'@'%';"
    )
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(database, user="reads"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "only")

    code, out, _ = bare("doctor")

    assert code == 1
    said = re.search("^FAIL +database .*UPDATE on dc_batch.*db grants.*", out, re.MULTILINE)
    assert said
    assert "`deepcredit doctor --role operator` or `--role reader`" in said[0]
    code, out, _ = bare("doctor", "--role", "reader")
    assert (code, "may do all that the role reader needs" in out) == (0, True)

    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    code, _, error = bare("dataset", "load", "a.csv", "--group", "A", "--target", "연체")
    assert code == 1
    assert "error: loading data needs an account that may CREATE tables; " in error
    for command in ("check", "upgrade"):
        code, _, error = bare("db", command)
        assert code == 1
        assert f"error: `deepcredit db {command}` needs an account that may CREATE tables" in error

    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(f"{database}x", user="reads"))
    assert f"to database '{database}x', or there is no such database; " in bare.error("status")
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(database, user="reads"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "wrong")
    refused = bare("doctor")[1]
    assert re.search("^FAIL +database .*refused", refused, re.MULTILINE)
    assert "schema" not in refused


def test_a_batch_that_was_set_to_run_by_hand_is_named_until_it_waits(
    run: Terminal, calls: Calls
) -> None:
    calls.add()
    calls.take()
    assert found(run, "WARN", "launchers") == []

    ended = calls.add()
    calls.finish(calls.take(batch_id=ended))
    by_hand = [calls.add(state="U", lease_until=utc_now(60)), ended]
    calls.sql("UPDATE dc_batch SET state = 'U' WHERE batch_id = :n", n=ended)

    said = (
        "nobody runs batch {}: in U, but no launcher has claimed it; "
        "`deepcredit batch rerun {}` lets it wait for one"
    )
    numbers = ", ".join(map(str, sorted(by_hand)))
    assert found(run, "WARN", "launchers") == [said.format(numbers, ended)]
    assert run("status")[1].count("U was set by hand") == 2

    for number in by_hand:
        calls(batches.rerun, number)
    assert [line for line in found(run, "WARN", "launchers") if "nobody runs" in line] == []


@pytest.mark.parametrize(
    ("table", "start"),
    [("", "start it"), ('[cluster]\nhosts = ["127.0.0.1"]\n', "`deepcredit cluster start`")],
)
def test_a_cluster_that_is_away_is_started_as_it_is_configured(
    run: Terminal, tmp_path: Path, table: str, start: str
) -> None:
    settings = 'scheduler = "tcp://127.0.0.1:9"\n' + table
    (tmp_path / "deepcredit.toml").write_text(settings, encoding="utf-8")

    (line,) = found(run, "FAIL", "dask")
    assert line.startswith("nothing answers at tcp://127.0.0.1:9: ")
    assert line.endswith(f"; {start} or check DEEPCREDIT_SCHEDULER")


def test_a_table_of_hosts_that_no_launcher_would_use_is_told(run: Terminal, tmp_path: Path) -> None:
    (tmp_path / "deepcredit.toml").write_text('[cluster]\nhosts = ["127.0.0.1"]\n', "utf-8")

    (line,) = found(run, "WARN", "dask")
    assert "do not use the cluster of the table [cluster]: set `scheduler`" in line
