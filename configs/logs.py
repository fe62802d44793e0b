"""Logging: one file a launcher, rotated, and the terminal; a line an event, with its fields."""

import logging
import re
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from typing import IO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from configs.errors import BadSetting
from configs.settings import Settings

ROTATE_BYTES = 5_000_000
KEEP_FILES = 10
# A time with [level], as we and structlog by itself write, or with logger and level, as Dask does.
_HEAD = re.compile(r"\d\S* (?:\d\S* )?(?:\[|- \S+ - )(\w+)")
# Libraries that tell at INFO what is of no use to whoever reads a launcher's log.
_QUIET = ("distributed", "paramiko", "sqlalchemy", "alembic", "matplotlib", "asyncio")


class _File(RotatingFileHandler):
    """Says once that it cannot be written, as on a full disk, and again after it could: a traceback
    for each line would bury the lines, which are on the terminal too.
    """

    _failed_before = _fails = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed_before, self._fails = self._fails, False
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as the base class
        self._fails = True
        if not self._failed_before:
            with suppress(OSError):  # whoever listens there may have gone, too
                sys.stderr.write(f"cannot write the log {self.baseFilename}: {sys.exception()}\n")


def configure(
    settings: Settings,
    *,
    server_id: str | None = None,
    stream: IO[str] | None = None,
    level: int = logging.INFO,
    tracebacks: bool = True,
) -> None:
    """Send structlog's and the standard library's records to `stream` (stderr) and, for a
    launcher, to log_dir/{server_id}.log, there always with tracebacks. Call it once a process, at
    its start; a second call replaces the first.

    Raises:
        BadSetting: server_id cannot name a file, or the folder cannot be written.
    """
    stream = stream or sys.stderr
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    text = _as_text(settings, terminal=stream.isatty())
    handlers[0].setFormatter(_formatter(text, stream, tracebacks=tracebacks))
    if server_id is not None:
        handlers.append(_file(settings, server_id))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def level_of(line: str) -> int:
    """The level of a line of text that another process of ours, or of Dask, wrote to its log; INFO
    if the line names none, as within a traceback.
    """
    found = _HEAD.match(line)
    name = found[1].upper() if found else ""
    return logging.getLevelNamesMapping().get(name, logging.INFO)


def _file(settings: Settings, server_id: str) -> logging.Handler:
    if not re.fullmatch(r"[\w.-]{1,100}", server_id) or server_id.startswith("."):
        raise BadSetting(
            f"server id {server_id!r} cannot name a log file; use letters, digits, '_', '-' and '.'"
        )
    path = settings.log_dir / f"{server_id}.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _File(path, maxBytes=ROTATE_BYTES, backupCount=KEEP_FILES, encoding="utf-8")
    except OSError as error:
        raise BadSetting(f"log_dir: cannot write {path}: {error.strerror}") from error
    handler.setFormatter(_formatter(_as_text(settings, terminal=False), None))
    return handler


def _as_text(settings: Settings, *, terminal: bool) -> bool:
    return terminal if settings.log_format == "auto" else settings.log_format == "text"


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(text: bool, stream: IO[str] | None, *, tracebacks: bool = True) -> logging.Formatter:
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not tracebacks:
        last.append(_without_traceback)
    if text:
        colours = stream is not None and stream.isatty()
        # The plain formatter prints a traceback as Python does, without the values of locals,
        # which may hold secrets and applicants' data.
        last.append(
            structlog.dev.ConsoleRenderer(
                colors=colours, exception_formatter=structlog.dev.plain_traceback
            )
        )
    else:
        last += [
            structlog.processors.format_exc_info,
            _in_reading_order,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_common(), structlog.stdlib.add_logger_name], processors=last
    )


def _without_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: event[key] for key in event if key not in {"exc_info", "exception"}}


def _in_reading_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return first | {key: value for key, value in event.items() if key not in first}
