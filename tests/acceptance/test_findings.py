"""What operators come upon, as commands tell of it."""

import re
from pathlib import Path

import pytest

from storage import batches
from storage.columns import utc_now
from storage.grants import role_for
from tests.calls import Calls
from tests.mariadb import MariaDB
from tests.terminal import Terminal


def found(run: Terminal, level: str, subject: str) -> list[str]:
    return re.findall(f"^{level} +{subject} +(.*)$", run("doctor")[1], re.MULTILINE)


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


def test_scores_go_over_no_file_unless_one_says_so(run: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("of another batch", encoding="utf-8")
    command = ("scores", "1", "--to", str(path))

    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert f"{path} is there already; name another file, or say --force" in err

    code, _, err = run(*command, "--force")
    assert (code, "batch 1 does not exist" in err) == (1, True)
    assert path.read_text(encoding="utf-8") == "of another batch"


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


@pytest.fixture
def account(
    database: str, bare: Terminal, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A new database of MariaDB, which commands find by an account that may read; its name."""
    bare("db", "upgrade")
    mariadb_server.client(bare("db", "grants")[1])
    mariadb_server.client(
        "CREATE OR REPLACE USER 'few'@'%' IDENTIFIED BY 'only';"
        "GRANT deepcredit_reader TO 'few'@'%'; SET DEFAULT ROLE deepcredit_reader FOR 'few'@'%'"
    )
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(database, user="few"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "only")
    return database


def test_who_lacks_a_right_is_told_which_role_has_it_and_how_it_is_given(
    bare: Terminal, account: str, mariadb_server: MariaDB
) -> None:
    assert bare("status")[0] == 0

    code, _, err = bare("queue", "pause", "night")
    assert code == 1
    assert f"UPDATE command denied to user 'few'@'127.0.0.1' for table `{account}`." in err
    (command,) = re.findall("`deepcredit (doctor .*)` says what gives this account the right", err)

    (lack,) = [line for line in bare(*command.split())[1].splitlines() if line.startswith("FAIL")]
    assert "the role operator the database account 'few'@'%' lacks INSERT, UPDATE, DEL" in lack
    (grant,) = re.findall("and then: (GRANT .*?; SET .*?;)", lack)
    mariadb_server.client(grant)
    assert bare("queue", "pause", "night")[0] == 0


@pytest.mark.parametrize(
    ("verbs", "table", "role"),
    [
        (["SELECT"], "dc_batch", "deepcredit_reader"),
        (["SELECT"], "v_leaderboard", "deepcredit_reader"),
        (["SELECT", "INSERT"], "dc_batch", "deepcredit_operator"),
        (["DELETE"], "dc_model", "deepcredit_operator"),
        (["INSERT"], "dc_model", "deepcredit_launcher"),
        (["SELECT"], "dc_data_a_1", "deepcredit_launcher"),
        (["DROP"], "dc_data_a_1", None),
        (["CREATE"], "dc_batch", None),
    ],
)
def test_of_the_roles_that_may_the_one_is_named_that_may_the_least(
    verbs: list[str], table: str, role: str | None
) -> None:
    assert role_for(verbs, table) == role
