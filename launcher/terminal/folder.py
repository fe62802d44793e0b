"""Commands as files: `deepcredit NAME` is launcher/commands/NAME.py, imported when it is used.

A command's libraries may take seconds to import; a listing of commands must not. So the listing
takes the first line of each file's docstring, and only the command that runs is imported.
"""

import ast
import gc
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from configs import plugins

_COMMANDS = Path(__file__).parents[1] / "commands"


class CommandFolder(TyperGroup):
    """The top-level group: one file a command or group of commands."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        return [*names()]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        """A name and a line of help, for listings."""
        if cmd_name not in names():
            return None
        return TyperCommand(cmd_name, help=_first_line(cmd_name), rich_markup_mode=None)

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        for known in names():  # to suggest from
            self.add_command(TyperCommand(known))
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or found is None:
            return name, None, rest
        command = load(name)
        if not gc.isenabled():  # the process has just begun
            gc.freeze()
            gc.enable()
        return name, command, rest


def names() -> tuple[str, ...]:
    return plugins.modules_in(_COMMANDS)


def load(name: str) -> TyperCommand | TyperGroup:
    """Import launcher/commands/NAME.py and make its `app` a command."""
    command = get_command(plugins.load(f"launcher.commands.{name}").app)
    assert isinstance(command, TyperCommand | TyperGroup)
    command.name = name
    return command


def new_app() -> typer.Typer:
    """The `app` of a file of commands; with a single command in it, the file is that command."""
    return typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


def _first_line(name: str) -> str:
    tree = ast.parse((_COMMANDS / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]
