"""The command `deepcredit`: global options, errors in one line, exit codes 0, 1 and 2."""

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from configs.errors import BadParameter, BadSetting, DeepCreditError
from configs.wording import plain, refusal
from launcher.terminal import streams
from launcher.terminal.folder import CommandFolder, example
from launcher.terminal.lines import remark, say
from launcher.terminal.options import GlobalOptions

FAILED, WRONG_USAGE = 1, 2

app = typer.Typer(
    cls=CommandFolder,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"deepcredit {version('deepcredit')}")
        raise typer.Exit


@app.callback(
    epilog=example("deepcredit batch list", "deepcredit --store-url /srv/models doctor")
    + "\n\nSettings come from these options, DEEPCREDIT_... variables, deepcredit.toml and "
    "defaults, the strongest first; docs/settings.md lists them."
)
def deepcredit(
    ctx: typer.Context,
    database_url: Annotated[
        str | None, typer.Option(help="Database, without a password.", metavar="URL")
    ] = None,
    store_url: Annotated[
        str | None, typer.Option(help="Model store: a folder or sftp://...", metavar="URL")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler; empty: embedded.", metavar="ADDRESS")
    ] = None,
    workers: Annotated[str | None, typer.Option(help="Embedded workers.", metavar="N")] = None,
    log_dir: Annotated[str | None, typer.Option(help="Folder of logs.", metavar="DIR")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="File of settings, in the place of deepcredit.toml.", metavar="FILE"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,  # noqa: ARG001 - main reads it
    version: Annotated[  # noqa: ARG001 - the option acts by itself
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Batch machine learning for credit risk, driven by SQL."""
    named = {
        "database_url": database_url,
        "store_url": store_url,
        "scheduler": scheduler,
        "workers": workers,
        "log_dir": log_dir,
    }
    overrides = {name: value for name, value in named.items() if value is not None}
    ctx.obj = GlobalOptions(overrides | dict(map(_pair, set_ or ())), config)


def main() -> NoReturn:
    """The entry point of `deepcredit`."""
    streams.begin()
    # Arrow's allocator gives back what it does not need after so many milliseconds, and without
    # this after a second: a third more of a large data set. The processes of batches inherit it.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "10")
    try:
        code = execute(sys.argv[1:])
    finally:
        streams.end()
    gc.freeze()  # Python would look for garbage at its end, which takes longer than most commands
    sys.exit(code)


def execute(words: Sequence[str]) -> int:
    """Run a command; return its exit code: 0 success, 1 a failed outcome, 2 wrong usage."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    try:
        code = command.main(args=list(words), prog_name="deepcredit", standalone_mode=False)
        sys.stdout.flush()  # while it can be told that nobody takes it
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        return FAILED
    except Exception as error:
        if "--debug" in words:
            remark(traceback.format_exc().rstrip())
        text, code = _explain(error)
        remark(text)
        return code


def _explain(error: Exception) -> tuple[str, int]:
    """One line of text for people, and the exit code."""
    if isinstance(error, TyperException):
        return _usage(error), WRONG_USAGE
    line = " ".join(str(error).split())
    if isinstance(error, BadSetting | BadParameter):
        return f"error: {line}", WRONG_USAGE
    if isinstance(error, DeepCreditError):
        return f"error: {line}", FAILED
    if refused := refusal(error):
        return f"error: {refused}", FAILED
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return _no_text(error), WRONG_USAGE
    kind = type(error).__name__
    return f"error: unexpected {kind}: {line[:300]} (--debug before the command shows more)", FAILED


def _no_text(error: UnicodeEncodeError) -> str:
    """Of an argument or a setting with bytes that the encoding of the locale does not have."""
    encoding = sys.getfilesystemencoding().upper()
    return (
        f"error: {error.object[:80]!a} is no text in {encoding}, the encoding of this locale; "
        "write it in that, or set another locale, such as LC_ALL=C.UTF-8"
    )


def _usage(error: TyperException) -> str:
    text = error.format_message()
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return f"error: {text}"
    if text == context.get_help():  # a group without a command
        return text
    option = getattr(error, "option_name", None)
    here = context.find_root()
    if option and any(option in parameter.opts for parameter in here.command.params):
        return f"error: {option} goes before the command: deepcredit {option} ..."
    line = " ".join(plain(text).split()).rstrip(".")
    stop = "" if line.endswith("?") else ";"
    return f"error: {line}{stop} see {context.command_path} --help"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    return name.strip().lower(), value
