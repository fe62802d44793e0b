"""The versions that this process began with. Dask imports this module when a scheduler or worker of
ours starts: a version installed under a process that runs on is not the one it has loaded.
"""

from launcher.host.versions import versions

_FOUND = versions()


def versions_at_start() -> dict[str, str]:
    return dict(_FOUND)
