"""A connection to an SFTP server: its host key known, ourselves known to it, no secret told."""

import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    Channel,
    PKey,
    RejectPolicy,
    SSHClient,
    SSHException,
    Transport,
)
from paramiko.pkey import UnknownKeyType
from pydantic import SecretStr

from configs.errors import BadSetting, DeepCreditError, StoreRefused
from storage.artifacts.sftp_session import SftpSession
from storage.artifacts.sftp_wire import ConnectionLost

# AES-GCM needs no separate MAC: half the time that paramiko's first choice spends on a byte.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_CONNECT_SECONDS = 10.0
_LOGIN_SECONDS = 30.0
_KEEPALIVE_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where the server is, how it is known to be the right one, and who we are."""

    host: str
    port: int
    user: str
    known_hosts: Path
    key_file: Path | None = None
    key_passphrase: SecretStr | None = None
    password: SecretStr | None = None
    silence_seconds: float = 30
    """A connection that gives no answer for so long is taken for lost."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def connect(login: Login) -> SftpSession:
    """Log in and open a session on a connection of its own.

    Raises:
        StoreRefused: the host key is not the known one, or the server will not have us.
        ConnectionLost: no answer, or the connection broke.
        BadSetting: the private key or known_hosts cannot be read.
    """
    client = SSHClient()
    client.set_missing_host_key_policy(_Reject(login))
    key = _private_key(login)
    try:
        _load_known_hosts(client, login)
        return _open(client, login, key)
    except BaseException as error:
        # Asked before closing: a live connection means that the server decided, or said nothing.
        transport = client.get_transport()
        alive = transport if transport is not None and transport.is_active() else None
        greeted = alive is not None and alive.initial_kex_done
        client.close()
        if isinstance(error, (SSHException, EOFError, OSError)):
            silent = alive is not None and not greeted
            raise _named(error, login, decided=greeted, silent=silent) from error
        raise


def _open(client: SSHClient, login: Login, key: PKey | None) -> SftpSession:
    wire = socket.create_connection((login.host, login.port), timeout=_CONNECT_SECONDS)
    # Without it every file waits 40 ms: many small requests meet the peer's delayed ACK.
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Without it paramiko writes for ever to a server that is frozen and no longer reads.
    silence_ms = round(1000 * login.silence_seconds)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ms)
    try:
        client.connect(
            login.host,
            login.port,
            login.user,
            password=login.password.get_secret_value() if login.password else None,
            pkey=key,
            sock=wire,
            timeout=_CONNECT_SECONDS,
            banner_timeout=_LOGIN_SECONDS,
            auth_timeout=_LOGIN_SECONDS,
            allow_agent=False,
            look_for_keys=False,
            transport_factory=_transport,
        )
    except BaseException:
        if client.get_transport() is None:  # whose part the socket would be
            wire.close()
        raise
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    channel = transport.open_session(timeout=_CONNECT_SECONDS)
    channel.settimeout(login.silence_seconds)
    try:
        _request_sftp(channel, transport, login.silence_seconds)
        return SftpSession(channel)
    except (SSHException, ConnectionLost) as error:
        if isinstance(error.__cause__, TimeoutError) or not transport.is_active():
            raise
        raise ConnectionLost(
            f"{login}: the server let us in and gave us no SFTP ({error}); its sshd_config needs "
            "`Subsystem sftp internal-sftp`, and for a user without a shell `ForceCommand "
            "internal-sftp`"
        ) from error


def _request_sftp(channel: Channel, transport: Transport, seconds: float) -> None:
    """For this one answer paramiko would wait for ever. Raises TimeoutError."""
    silent = threading.Event()

    def give_up() -> None:
        silent.set()
        transport.close()

    late = threading.Timer(seconds, give_up)
    late.daemon = True
    late.start()
    try:
        channel.invoke_subsystem("sftp")
    except (SSHException, EOFError) as error:
        if silent.is_set():
            raise TimeoutError(f"no answer to the request for SFTP in {seconds:.0f} s") from error
        raise
    finally:
        late.cancel()


def _transport(sock: Any, **options: Any) -> Transport:
    transport = Transport(sock, **options)
    security = transport.get_security_options()
    others = tuple(cipher for cipher in security.ciphers if cipher not in _CIPHERS)
    security.ciphers = (*_CIPHERS, *others)
    return transport


class _Reject(RejectPolicy):
    """As RejectPolicy, in words that say what to do."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def missing_host_key(
        self,
        client: SSHClient,  # noqa: ARG002 - paramiko's signature
        hostname: str,  # noqa: ARG002
        key: PKey,
    ) -> NoReturn:
        login = self._login
        raise StoreRefused(
            f"{login}: the server's host key is not in {login.known_hosts}; fetch it with "
            f"`ssh-keyscan -p {login.port} {login.host} >> {login.known_hosts}`, then compare "
            f"its fingerprint, {key.fingerprint}, with what the server's keeper says"
        )


def _named(error: Exception, login: Login, *, decided: bool, silent: bool) -> DeepCreditError:
    if isinstance(error, BadHostKeyException):
        return StoreRefused(
            f"{login}: the server's host key has changed: it shows {error.key.fingerprint} where "
            f"{login.known_hosts} has {error.expected_key.fingerprint}; somebody may be in "
            "between. Ask the server's keeper for the fingerprint before you replace that line"
        )
    if isinstance(error, AuthenticationException) and decided:
        tried = [f"key {login.key_file}"] if login.key_file else []
        tried += ["password"] if login.password else []
        return StoreRefused(
            f"{login}: the server refuses this user's {' and '.join(tried)}; check the user and "
            "DEEPCREDIT_SFTP_KEY_FILE or DEEPCREDIT_SFTP_PASSWORD, and authorized_keys there"
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    reason = reason.replace("banner[", "banner: [")  # as paramiko glues what the system says
    if silent:  # paramiko says that there is no session
        reason = f"no SSH server has answered there in {_CONNECT_SECONDS:.0f} s"
    return ConnectionLost(f"{login}: cannot connect: {reason}")


def _load_known_hosts(client: SSHClient, login: Login) -> None:
    file = login.known_hosts.expanduser()
    if file.exists():  # if not, every key is unknown, and the refusal says what to do
        try:
            client.load_host_keys(str(file))
        except OSError as error:
            raise BadSetting(f"sftp_known_hosts: cannot read {file}: {error.strerror}") from error
        except Exception as error:  # of whichever library met the broken key
            raise BadSetting(
                f"sftp_known_hosts: {file} has a line that is no host key ({error}); "
                f"`ssh-keygen -l -f {file}` shows the others"
            ) from error


def _private_key(login: Login) -> PKey | None:
    if login.key_file is None:
        return None
    passphrase = login.key_passphrase.get_secret_value().encode() if login.key_passphrase else None
    try:
        # Bytes, whatever the stubs say: a str is refused.
        return PKey.from_path(login.key_file.expanduser(), passphrase)  # type: ignore[arg-type]
    except OSError as error:
        raise BadSetting(
            f"sftp_key_file: cannot read {login.key_file}: {error.strerror}"
        ) from error
    except (ValueError, TypeError, SSHException, UnknownKeyType):
        # The library's own text is left out: nothing of a key or passphrase may be told.
        raise BadSetting(
            f"sftp_key_file: {login.key_file} is not a private key, or is encrypted and "
            "DEEPCREDIT_SFTP_KEY_PASSPHRASE is missing or wrong"
        ) from None
