"""How to go on in another shell: what it needs, and how it calls `deepcredit`."""

import shlex
import sys
from pathlib import Path

from configs.settings import FILE, PREFIX, SECRETS, Settings, load
from launcher.terminal.options import GlobalOptions
from launcher.terminal.session import Session


def command_line(session: Session) -> str:
    """How to call `deepcredit` on this installation from another shell in this folder, once that
    has what `exports` says.
    """
    program = Path(sys.executable).with_name("deepcredit")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.join([str(program), *GlobalOptions(config=session.options.config).words()])


def needed_first(session: Session) -> list[str]:
    """What a shell needs before `command_line`: this one, too, where options gave the settings."""
    whose = "Your" if session.options.overrides else "Another"
    lines = exports(session)
    return [f"# {whose} shell needs these first:", *lines] if lines else []


def exports(session: Session) -> list[str]:
    """Lines for a shell that has none of our DEEPCREDIT_... variables; secrets are left out."""
    settings = session.settings
    there = load(environ={}, file=session.options.config or Path(FILE))
    return [
        f"export {PREFIX}{name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name in Settings.model_fields
        if name not in SECRETS and getattr(settings, name) != getattr(there, name)
    ]
