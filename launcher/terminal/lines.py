"""Lines for people: what a command found on stdout, and on stderr what is said beside that, for the
output of many commands is read by programs. Nothing here loads what draws tables.
"""

from contextlib import suppress

import typer

_CONTROLS = (*range(9), *range(11, 32), *range(127, 160))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""They let text run from right to left, over what stands beside it."""
_SIGNS = {n: f"\\x{n:02x}" for n in (*_CONTROLS, *_TURNS)}


def harmless(text: str) -> str:
    """What SQL has put into a row must not steer the terminal of who looks at it."""
    return text.translate(_SIGNS)


def say(text: str) -> None:
    """A line as it is: no markup, no colours."""
    typer.echo(harmless(text))  # noqa: TID251


def remark(text: str) -> None:
    """Beside the output. Where it cannot be written, as on a full disk, the command goes on."""
    with suppress(OSError):
        typer.echo(harmless(text), err=True)  # noqa: TID251


def note(text: str) -> None:
    """What a person may not have meant, or may want to know."""
    remark(f"note: {text}")


def warn(text: str) -> None:
    """What works now and may not for long, or works for others."""
    remark(f"warning: {text}")


def complain(text: str) -> None:
    """What is wrong, where a command goes on to say more. Else it raises an error, which ends in
    the same form.
    """
    remark(f"error: {text}")
