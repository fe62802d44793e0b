import errno
import io
import json
import logging
import os
import warnings

import pytest
import structlog

from configs import logs
from configs.errors import BadSetting
from configs.settings import Settings


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fail():
    secret = "hunter2"
    try:
        raise ValueError("값이 없음")
    except ValueError:
        structlog.get_logger().exception("batch failed", batch_id=1)
    return secret


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_file_has_one_json_line_an_event_with_its_traceback(tmp_path):
    logs.configure(Settings(log_dir=tmp_path), server_id="서버_001", stream=io.StringIO())
    structlog.get_logger().info("batch ended", batch_id=12, note="신용 평가")
    fail()

    first, second = lines(tmp_path / "서버_001.log")
    assert first["event"] == "batch ended"
    assert (first["batch_id"], first["note"], first["level"]) == (12, "신용 평가", "info")
    assert first["timestamp"].endswith("Z")
    assert second["exception"].startswith("Traceback (most recent call last):")
    assert "ValueError: 값이 없음" in second["exception"]
    assert "신용 평가" in (tmp_path / "서버_001.log").read_text(encoding="utf-8")


def test_a_terminal_gets_text_and_the_file_stays_json(tmp_path):
    screen = Terminal()
    logs.configure(Settings(log_dir=tmp_path), server_id="S", stream=screen)
    fail()

    assert "Traceback (most recent call last):\n" in screen.getvalue()
    assert "hunter2" not in screen.getvalue()
    assert lines(tmp_path / "S.log")[0]["batch_id"] == 1


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_stream_may_go_without_tracebacks_but_not_the_file(tmp_path, stream):
    logs.configure(Settings(log_dir=tmp_path), server_id="S", stream=stream, tracebacks=False)
    fail()
    structlog.get_logger().error("child failed", exception="Traceback of a child")

    assert stream.getvalue().count("failed") == 2
    assert "Traceback" not in stream.getvalue()
    assert ["Traceback" in line["exception"] for line in lines(tmp_path / "S.log")] == [True] * 2


def test_log_format_rules_both(tmp_path):
    screen = io.StringIO()
    logs.configure(Settings(log_dir=tmp_path, log_format="text"), server_id="S", stream=screen)
    fail()

    assert "Traceback (most recent call last):\n" in screen.getvalue()
    assert "Traceback (most recent call last):\n" in (tmp_path / "S.log").read_text()


def test_libraries_and_warnings_end_in_the_same_file(tmp_path):
    logs.configure(Settings(log_dir=tmp_path), server_id="S", stream=io.StringIO())
    logging.getLogger("paramiko.transport").info("chatter")
    logging.getLogger("paramiko.transport").warning("host key of %s", "서버")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)

    said = lines(tmp_path / "S.log")
    assert [line["logger"] for line in said] == ["paramiko.transport", "py.warnings"]
    assert said[0]["event"] == "host key of 서버"


def test_a_line_of_another_process_keeps_its_level():
    said = io.StringIO()
    logs.configure(Settings(log_format="text"), stream=said)
    log = structlog.get_logger()
    for tell in (log.info, log.warning, log.error, logging.getLogger("py").warning):
        tell("메모리 [error] - x - ERROR - ")
    printed = said.getvalue().splitlines()
    dask = "2026-11-27 03:50:34,123 - distributed.worker - {} - words"

    assert [logging.getLevelName(logs.level_of(line)) for line in printed] == [
        "INFO",
        "WARNING",
        "ERROR",
        "WARNING",
    ]
    assert logs.level_of(dask.format("CRITICAL")) == logging.CRITICAL
    assert logs.level_of("2026-11-27 03:50:34 [warning  ] by structlog itself") == logging.WARNING
    for other in ("", "words", "  File [error", dask.format("LOUD"), "ValueError: [warning] - e"):
        assert logs.level_of(other) == logging.INFO


def test_the_file_is_rotated_at_five_megabytes(tmp_path):
    logs.configure(Settings(log_dir=tmp_path), server_id="S", stream=io.StringIO())
    log = structlog.get_logger()
    for _ in range(60):
        log.info("x" * 100_000)

    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 5_000_000


def test_a_log_that_cannot_be_written_is_told_of_once_until_it_can(tmp_path, capsys):
    class Disk(io.StringIO):
        full = True

        def flush(self):
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stream, disk = io.StringIO(), Disk()
    logs.configure(Settings(log_dir=tmp_path), server_id="S", stream=stream)
    handler = logging.getLogger().handlers[-1]
    handler.setStream(disk).close()
    for disk.full in (True, True, False, True):
        structlog.get_logger().info("batch ended")
    disk.full = False

    said = f"cannot write the log {tmp_path}/S.log: [Errno 28] No space left on device\n"
    assert capsys.readouterr().err == 2 * said
    assert len(stream.getvalue().splitlines()) == 4


def test_configuring_again_replaces_and_closes(tmp_path):
    logs.configure(Settings(log_dir=tmp_path), server_id="A", stream=io.StringIO())
    logs.configure(Settings(log_dir=tmp_path), server_id="B", stream=io.StringIO())
    structlog.get_logger().info("once")

    assert (tmp_path / "A.log").read_text() == ""
    assert len(lines(tmp_path / "B.log")) == 1


def test_a_folder_that_is_made_is_for_nobody_else_to_read(tmp_path):
    logs.configure(Settings(log_dir=tmp_path / "logs"), server_id="S", stream=io.StringIO())

    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "x" * 101, "a\nb"])
def test_an_id_that_cannot_name_a_file_is_refused(tmp_path, name):
    with pytest.raises(BadSetting, match="server id"):
        logs.configure(Settings(log_dir=tmp_path), server_id=name, stream=io.StringIO())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BadSetting, match="log_dir"):
        logs.configure(Settings(log_dir=tmp_path / "file"), server_id="S", stream=io.StringIO())
