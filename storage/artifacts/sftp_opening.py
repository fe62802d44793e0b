"""From a URL like sftp://user@host:22/path, and settings, to a store on that server."""

from urllib.parse import SplitResult, unquote, urlsplit

from configs.errors import BadSetting
from configs.settings import Settings
from storage.artifacts.opening import EXAMPLE
from storage.artifacts.sftp import SftpStore
from storage.artifacts.sftp_connect import Login

_SSH_PORT = 22


def open_sftp(settings: Settings) -> SftpStore:
    """Raises BadSetting: `store_url` names no place, or neither a key nor a password is set."""
    parts = urlsplit(settings.store_url)
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
        raise BadSetting(f"store_url names no host or no user; it may be {EXAMPLE}")
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
        raise BadSetting(f"store_url names no folder on the server; it may be {EXAMPLE}")
    return path.removeprefix("/~/")
