"""What every command does: help, wrong usage, exit codes, settings."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup

from launcher.cli import main
from launcher.terminal import folder
from tests.terminal import APPLICANTS, Terminal


def _leaves() -> Iterator[list[str]]:
    for name in folder.names():
        command = folder.load(name)
        if isinstance(command, TyperGroup):
            yield from ([name, below] for below in command.commands)
        else:
            yield [name]


@pytest.mark.parametrize("words", list(_leaves()), ids=" ".join)
def test_every_command_has_help_with_an_example_that_names_it(
    bare: Terminal, words: list[str]
) -> None:
    code, out, err = bare(*words, "--help")

    assert (code, err) == (0, "")
    assert f"deepcredit {' '.join(words)}" in out.partition("Example:")[2]
    assert max(map(len, out.splitlines())) <= 100
    assert not re.search(r"  --\S+ <(int range|list|path)", out)  # words of Python


def test_the_listing_says_of_each_command_what_its_own_help_says(bare: Terminal) -> None:
    _, out, _ = bare("--help")

    for name in folder.names():
        assert re.search(rf"^  {name} +\S.*[^.][.]$", out, re.MULTILINE), name  # and is not cut


@pytest.mark.parametrize("name", sorted({words[0] for words in _leaves() if len(words) > 1}))
def test_a_groups_listing_has_a_whole_sentence_of_each_command_at_80_columns(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = bare(name, "--help")[1].partition("Commands:\n")[2].splitlines()

    assert lines
    assert [line for line in lines if not re.fullmatch(r"  \w+ +\S.*[^.][.]", line)] == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["batc"], "Did you mean 'batch'? see deepcredit --help"),
        (["batch", "shwo", "1"], "Did you mean 'show'"),
        (["batch", "show"], "Missing argument 'ID'; see deepcredit batch show --help"),
        (["batch", "show", "one"], "Invalid value for 'ID': it must be a whole number; see deep"),
        (["batch", "priority", "1", "99999"], "'N': it must be at most 32767; see deepcredit"),
        (["batch", "add", "--mode", "train", "--priority", "99999"], "it must be at most 32767"),
        (["batch", "list", "--state", "Q"], "'--state': 'Q' is not one of 'I', 'U', 'C', 'E'; see"),
        (
            ["batch", "add", "--mode", "tran"],
            "unknown mode 'tran'; did you mean train? there are: ",
        ),
        (["batch", "add", "--mode", "train", "--json", "[1]"], "must be a JSON object"),
        (["batch", "add", "--mode", "train", "--param", "x"], "'x' is not KEY=VALUE"),
        (["batch", "add", "--mode", "train", "--dataset", "D/x"], "'D/x' is not like DATA001/1"),
        (["batch", "add", "--mode", "train", "--dataset", "D1"], "'D1' has no version; write D1/1"),
        (["leaderboard", "--frob"], "No such option: --frob; see deepcredit leaderboard --help"),
        (["batch", "list", "--store-url", "x"], "--store-url goes before the command"),
        (["--set", "x", "doctor"], "'x' is not NAME=VALUE"),
        (
            ["--set", "wrokers=2", "doctor"],
            "unknown setting wrokers in the command line; did you mean workers? known",
        ),
        (["--workers", "-1", "doctor"], "workers: "),
        (["--database-url", "postgresql://h/d", "batch", "list"], "mariadb+pymysql://"),
        (["--config", "none.toml", "doctor"], "none.toml is not a file"),
        (["demo", "--csv", "x.csv"], "--csv and --target go together"),
        (["db", "grants"], "SQLite has no roles"),
        (["launcher", "../SERVER"], "cannot name a log file"),
        (["launcher", "S1", "--queue", ""], "a queue has a name; the usual one is default"),
        (["launcher", "S1", "--tag", ""], "a tag has a name, such as gpu"),
        (["batch", "add", "--mode", "train", "--need-tag", ""], "a tag has a name, such as gpu"),
        (["candidates", "add", "", "--from-batch", "1"], "a list has a name, such as C001"),
        *(
            ([*words, "--limit", "9" * 20], "it must be at most 1000000000; see")
            for words in (["batch", "list"], ["leaderboard"], ["results", "1"])
        ),
        (["server", "pause", ""], "a server has a name, such as SERVER_001"),
        (["launcher", "S1", "--queue", "q" * 33], "the name of a queue has at most 32 characters"),
        (["launcher", "S1", "--tag", "t" * 33], "the name of a tag has at most 32 characters"),
        (
            ["launcher", "S1", *(word for n in range(31) for word in ("--tag", f"large-host-{n}"))],
            "dc_server.tags, which holds 500 characters, and these take 517",
        ),
        (["queue", "pause", ""], "a queue has a name; the usual one is default"),
        (["batch", "add", "--mode", "train", "--queue", " "], "a queue has a name; the usual one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    bare: Terminal, words: list[str], text: str
) -> None:
    assert text in bare.error(*words, code=2)


def test_a_folder_that_cannot_be_made_is_named(bare: Terminal) -> None:
    code, _, err = bare("--database-url", "sqlite:////proc/none/x.db", "db", "upgrade")

    assert code == 1
    assert err.startswith("error: cannot make the folder /proc/none of the database: No such file")


def test_a_working_directory_that_is_gone_is_told(
    bare: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert bare.error("batch", "list") == "the working directory is gone; change to another"
    code, out, _ = bare("doctor")
    assert code == 1
    assert re.search(r"FAIL +database +the working directory is gone", out)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(bare: Terminal) -> None:
    line = bare.error("--set", "database_password=geheim", "batch", "list", code=2)

    assert "DEEPCREDIT_DATABASE_PASSWORD_FILE" in line
    assert "geheim" not in line


def test_debug_shows_the_traceback_and_the_line(run: Terminal) -> None:
    code, _, err = run("--debug", "batch", "show", "7")

    assert code == 1
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: batch 7 does not exist")


def test_the_command_line_is_the_strongest_source_of_settings(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", "sqlite:///environment.db")
    Path("deepcredit.toml").write_text('database_url = "sqlite:///file.db"', encoding="utf-8")

    bare("--database-url", "sqlite:///line.db", "db", "upgrade")
    assert [path.name for path in Path().glob("*.db")] == ["line.db"]

    bare("db", "upgrade")
    assert Path("environment.db").exists()
    assert not Path("file.db").exists()


def test_version(bare: Terminal) -> None:
    code, out, _ = bare("--version")

    assert code == 0
    assert re.fullmatch(r"deepcredit \d+\.\d+\.\d+\n", out)


def test_text_that_the_locale_has_no_letters_for_is_shown(
    run: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a server speaks Latin 1; files are UTF-8 there, too."""
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    run("dataset", "load", "a.csv", "--group", "신용", "--target", "연체")

    def shown(form: str, locale: str) -> bytes:
        out = io.TextIOWrapper(io.BytesIO(), locale, write_through=True)
        words = ["deepcredit", "dataset", "list", "--format", form]
        with monkeypatch.context() as at:
            at.setattr(sys, "stdout", out)
            at.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == 0
        written = out.buffer
        assert isinstance(written, io.BytesIO)
        return written.getvalue()

    assert rb"\uc2e0\uc6a9/1" in shown("table", "latin-1")
    assert "신용/1".encode("cp949") in shown("table", "cp949")
    assert "\n신용/1,".encode() in shown("csv", "latin-1")
    assert '"신용/1"'.encode() in shown("json", "cp949")


def test_an_argument_of_another_encoding_is_told(run: Terminal) -> None:
    assert run.error("dataset", "show", "\udcbd\udcc5/1", code=2).startswith(
        r"'\udcbd\udcc5' is no text in UTF-8, the encoding of this locale; write it"
    )
