"""Programs of this machine."""

import os
import shutil


def program(name: str) -> str | None:
    """Where it is, also if it is a server: Debian keeps those off the PATH of ordinary users."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
