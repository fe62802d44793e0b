"""How people name data sets on a command line."""

import typer


def dataset_name(text: str, option: str = "--dataset") -> tuple[str, int]:
    """Group and version of `DATA001/1`."""
    group, _, version = text.rpartition("/")
    if not group or not (version.isascii() and version.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not like DATA001/1", param_hint=option)
    return group, int(version)
