"""From settings to a model store."""

from pathlib import Path

from configs import plugins
from configs.errors import BadSetting
from configs.settings import Settings
from storage.artifacts.folder import FolderStore
from storage.artifacts.port import Store

EXAMPLE = "a folder, or sftp://user@host:22/path"

SFTP = "storage.artifacts.sftp_opening"
"""What opens such a store takes a fourth of a second to import, which others save."""


def open_store(settings: Settings) -> Store:
    """The store that `store_url` names; nothing is connected or made yet.

    sftp://user@host/path is the absolute /path; sftp://user@host/~/path lies in the user's home.

    Raises:
        BadSetting: the URL is not one of these, or neither a key nor a password is set.
    """
    url = settings.store_url
    if "://" not in url:
        if not url:
            raise BadSetting(f"store_url is empty; it may be {EXAMPLE}")
        return FolderStore(Path(url))
    scheme = url.partition("://")[0].lower()
    if scheme != "sftp":
        raise BadSetting(f"store_url: {scheme}:// is not supported; it may be {EXAMPLE}")
    store: Store = plugins.load(SFTP).open_sftp(settings)
    return store
