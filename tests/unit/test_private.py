import io
import os
import stat

import pytest

from launcher.host.private import private_file, private_folder
from launcher.terminal.exports import write_csv


def test_a_file_that_could_not_be_finished_leaves_what_was_there(tmp_path):
    path = tmp_path / "점수.csv"
    path.write_text("of before", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt), private_file(path) as file:
        file.write("half of " * 10_000)
        raise KeyboardInterrupt

    assert path.read_text(encoding="utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [path]


def test_nobody_else_may_read_it_from_its_first_moment_on(tmp_path):
    path = tmp_path / "점수.csv"
    path.touch(0o644)
    old = os.umask(0)
    try:
        with private_file(path) as file:
            file.write("고객\n")
            modes = [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("*.tmp")]
    finally:
        os.umask(old)

    assert modes == [stat.S_IMODE(path.stat().st_mode)] == [0o600]
    assert path.read_text(encoding="utf-8") == "고객\n"


def test_rows_are_written_as_they_come():
    stream, written = io.StringIO(), []

    def rows():
        for number in range(3):
            yield number, "가"
            written.append(stream.getvalue())

    write_csv(("n", "text"), rows(), stream)

    assert written == ["n,text\n0,가\n", "n,text\n0,가\n1,가\n", "n,text\n0,가\n1,가\n2,가\n"]


def test_two_who_write_one_file_at_once_do_not_mix(tmp_path):
    path = tmp_path / "scores.csv"
    (tmp_path / "scores.csv.tmp").write_text("somebody's own")

    with private_file(path) as last:
        last.write("the half")
        last.flush()
        with private_file(path) as first:
            first.write("whole")
            first.flush()
        assert path.read_text() == "whole"
        last.write(" of it")

    assert path.read_text() == "the half of it"
    assert (tmp_path / "scores.csv.tmp").read_text() == "somebody's own"
    assert len([*tmp_path.iterdir()]) == 2


def test_a_folder_for_temporary_files_is_ours_alone_whoever_was_there_first(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = private_folder()
    assert ours == private_folder() == tmp_path / f"deepcredit-{os.getuid()}"
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700

    ours.chmod(0o755)
    assert private_folder() == ours
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700

    ours.chmod(0o777)
    other = private_folder()
    assert (other != ours, stat.S_IMODE(other.stat().st_mode)) == (True, 0o700)

    ours.rename(tmp_path / "elsewhere")
    ours.symlink_to(other)
    assert private_folder() not in (ours, other)
