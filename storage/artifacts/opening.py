"""From settings to a model store."""

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from configs.errors import BadSetting
from configs.settings import Settings
from storage.artifacts.folder import FolderStore
from storage.artifacts.port import Store
from storage.artifacts.sftp import SftpStore
from storage.artifacts.sftp_connect import Login

_SSH_PORT = 22
_EXAMPLE = "a folder, or sftp://user@host:22/path"


def open_store(settings: Settings) -> Store:
    """The store that `store_url` names; nothing is connected or made yet.

    sftp://user@host/path is the absolute /path; sftp://user@host/~/path lies in the user's home.

    Raises:
        BadSetting: the URL is not one of these, or neither a key nor a password is set.
    """
    url = settings.store_url
    if "://" not in url:
        if not url:
            raise BadSetting(f"store_url is empty; it may be {_EXAMPLE}")
        return FolderStore(Path(url))
    parts = urlsplit(url)
    if parts.scheme != "sftp":
        raise BadSetting(f"store_url: {parts.scheme}:// is not supported; it may be {_EXAMPLE}")
    return SftpStore(
        _login(parts, settings),
        _root(parts),
        connections=settings.sftp_connections,
        patience=settings.store_patience_seconds,
    )


def _login(parts: SplitResult, settings: Settings) -> Login:
    if not (settings.sftp_key_file or settings.sftp_password):
        raise BadSetting(
            "an SFTP store needs DEEPCREDIT_SFTP_KEY_FILE, or DEEPCREDIT_SFTP_PASSWORD or "
            "DEEPCREDIT_SFTP_PASSWORD_FILE"
        )
    try:
        port = parts.port or _SSH_PORT
    except ValueError:
        raise BadSetting("store_url: the port is not a number from 1 to 65535") from None
    if not (parts.hostname and parts.username):
        raise BadSetting(f"store_url names no host or no user; it may be {_EXAMPLE}")
    return Login(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username),
        known_hosts=settings.sftp_known_hosts,
        key_file=settings.sftp_key_file,
        key_passphrase=settings.sftp_key_passphrase,
        password=settings.sftp_password,
    )


def _root(parts: SplitResult) -> str:
    if parts.query or parts.fragment:
        raise BadSetting("store_url: write ? and # in the path as %3F and %23")
    path = unquote(parts.path).rstrip("/")
    if path in ("", "/~"):
        raise BadSetting(f"store_url names no folder on the server; it may be {_EXAMPLE}")
    return path.removeprefix("/~/")
