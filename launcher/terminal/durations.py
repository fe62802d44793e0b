"""How people write lengths of time: 90d on a command line and in a narrow table, 2 h 05 min where
there is room; and a point in time: that of the database, which is UTC.
"""

import re
from datetime import datetime

import typer

_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def in_utc(at: object) -> str:
    """A time of the database, to the second. What somebody wrote may be none, as 0000-00-00."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if isinstance(at, datetime) else str(at)


def seconds_of(text: str, option: str) -> float:
    """Seconds of `90d`, `12h` or `30min`.

    Raises:
        typer.BadParameter: it is not a whole number and a unit, or longer than a century.
    """
    found = re.fullmatch(r"(\d{1,6})\s*(s|min|m|h|d|w)", text.strip())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else None
    if seconds is None or seconds > 36_525 * _SECONDS["d"]:
        raise typer.BadParameter(
            f"{text!r} is not like 90d; units are s, min, h, d and w", param_hint=option
        )
    return float(seconds)


def in_words(seconds: float | None) -> str:
    """The two largest units that tell; `-` for None."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" if whole >= 600 else f"{whole // 60} min {whole % 60:02} s"
    if whole < 2 * _SECONDS["d"]:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // _SECONDS['d']} d {whole % _SECONDS['d'] // 3600} h"


def in_short(seconds: float) -> str:
    """The largest unit of which there are two, alone: 119s, 12m, 47h, 90d."""
    whole = max(0, round(seconds))
    unit = next((unit for unit in ("d", "h", "m") if whole >= 2 * _SECONDS[unit]), "s")
    return f"{whole // _SECONDS[unit]}{unit}"
