"""Typed settings, read once by the caller: command line, environment, deepcredit.toml, defaults."""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from configs.cluster import Cluster, HomePath
from configs.errors import BadSetting
from configs.meant import meant
from configs.wording import plain

PREFIX = "DEEPCREDIT_"
FILE = "deepcredit.toml"
_LEAST_STUCK_SECONDS = 60
_UTF_8 = "utf-8-sig"  # editors of Windows begin a file with a mark


def _scheduler_address(value: str) -> str:
    form = r"(tcp|tls)://[^/\s]+:\d+"
    # The latter raises ValueError itself: half a bracket, or a port out of range.
    if value and not (re.fullmatch(form, value) and urlsplit(value).port):
        raise ValueError("must be empty or like tcp://host:8786")
    return value


def _long_or_never(seconds: float) -> float:
    """Also what goes well waits for some seconds, before it looks whether all is well."""
    if seconds and seconds < _LEAST_STUCK_SECONDS:
        raise ValueError(f"must be 0 or at least {_LEAST_STUCK_SECONDS}")
    return seconds


def _folder_or_url(value: str) -> str:
    return value if "://" in value else str(Path(value).expanduser())


def _bears_password(url: str) -> bool:
    """Before the host, or as drivers take it too: `?password=`, `?passwd=`."""
    parts = urlsplit(url)
    return parts.password is not None or any("passw" in key for key, _ in parse_qsl(parts.query))


class Settings(BaseModel):
    """Everything that differs between installations. Secrets never appear in its repr."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    database_url: str = Field(
        "sqlite:///var/deepcredit.db", description="SQLAlchemy URL of the database, no password"
    )
    database_password: SecretStr | None = Field(None, description="password of the database user")
    store_url: Annotated[str, AfterValidator(_folder_or_url)] = Field(
        "var/store", description="model store: a folder or sftp://user@host:22/path"
    )
    sftp_password: SecretStr | None = Field(None, description="password of the SFTP user")
    sftp_key_file: HomePath | None = Field(None, description="private key of the SFTP user")
    sftp_key_passphrase: SecretStr | None = Field(None, description="passphrase of that key")
    # A default is not expanded, so that each worker takes it of its own account's home.
    sftp_known_hosts: HomePath = Field(
        Path("~/.ssh/known_hosts"), description="known_hosts file that must name the SFTP server"
    )
    sftp_connections: int = Field(4, ge=1, le=32, description="SFTP connections of a process")
    store_patience_seconds: float = Field(
        180, ge=0, description="how long a model store that does not answer is tried again"
    )
    scheduler: Annotated[str, AfterValidator(_scheduler_address)] = Field(
        "", description="Dask scheduler, tcp://host:8786; empty: an embedded local cluster"
    )
    workers: int = Field(
        0, ge=0, le=1024, description="embedded workers, at most one a core; 0: as memory allows"
    )
    worker_tasks: int = Field(
        500,
        ge=0,
        description="tasks after which a worker process is renewed, at rest after half; 0: never",
    )
    stuck_seconds: Annotated[float, AfterValidator(_long_or_never)] = Field(
        3600,
        le=10_000_000,
        description="a process that has for so long waited, and not run, is ended; 0: never",
    )
    cache_dir: HomePath = Field(Path("var/cache"), description="local cache of matrices and models")
    cache_limit_mb: int = Field(
        20_000, ge=0, description="its size; what was not used for longest goes first; 0: no limit"
    )
    log_dir: HomePath = Field(Path("logs"), description="folder of the launchers' logs")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="auto: text on a terminal, else JSON"
    )
    lease_seconds: float = Field(
        120,
        gt=0,
        le=3600,
        description="a batch is retried when nothing was heard of it for so long",
    )
    grace_seconds: float = Field(
        60, ge=0, description="how long running batches may finish after SIGTERM"
    )
    poll_seconds: float = Field(
        2, gt=0, le=60, description="how often an idle launcher looks for work"
    )
    metrics_port: int = Field(
        0, ge=0, le=65_535, description="port where a launcher serves Prometheus metrics; 0: none"
    )
    metrics_host: str = Field(
        "127.0.0.1", description="address of that port; 0.0.0.0: every address of the host"
    )
    cluster: Cluster | None = Field(
        None, description="table of hosts for `deepcredit cluster`, only in the file; see below"
    )

    @model_validator(mode="after")
    def _no_secrets_in_urls(self) -> Self:
        for name in ("database_url", "store_url"):
            try:
                tells = _bears_password(getattr(self, name))
            except ValueError:  # whose text may repeat a password
                raise ValueError(
                    f"{name} is not a URL; it has half a bracket, or a letter that only looks "
                    "like one of : / @ ? #"
                ) from None
            if tells:
                variable = "DATABASE_PASSWORD" if name == "database_url" else "SFTP_PASSWORD"
                raise ValueError(
                    f"{name} must not contain a password; set {PREFIX}{variable} or "
                    f"{PREFIX}{variable}_FILE instead"
                )
        return self


PATHS_OF_A_HOST = ("cache_dir", "sftp_key_file", "sftp_known_hosts")
OF_A_HOST = (*PATHS_OF_A_HOST, "cache_limit_mb", "sftp_connections")
"""Where a worker's own environment names one of these, it beats the launcher's."""

_OF_THE_DATABASE = ("database_url", "database_password", "database_password_file")

SECRETS = tuple(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def load(
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    file: Path = Path(FILE),
) -> Settings:
    """Merge the four sources, strongest first.

    Raises:
        BadSetting: an unknown name (the message lists the known ones) or a bad value.
    """
    sources = {
        str(file): _from_file(file),
        f"{PREFIX}... of the environment": _from_environment(environ),
        "the command line": dict(overrides or {}),
    }
    values: dict[str, Any] = {}
    for where, found in sources.items():
        _require_known(found, where)
        values |= found
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # Pydantic's own text repeats the input, which may be a secret.
        wrong = error.errors()
        within = {each["loc"][:depth] for each in wrong for depth in range(len(each["loc"]))}
        # A list whose items are wrong counts as too short, too.
        told = {each["loc"]: _problem(each) for each in wrong if each["loc"] not in within}
        problems = "; ".join(text for loc, text in told.items() if _given_to_all(loc) not in told)
        raise BadSetting(problems) from None


def _require_known(names: Iterable[str], where: str) -> None:
    known = sorted(Settings.model_fields)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise BadSetting(
            f"unknown setting {', '.join(unknown)} in {where}; {meant(unknown[0], known)}"
            f"known settings are: {', '.join(known)}"
        )


def without_database(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for workers: they have no way to the database."""
    return _without(environ, _OF_THE_DATABASE)


def without_a_hosts_own(environ: Mapping[str, str]) -> dict[str, str]:
    """The same for workers of which nothing shall beat the launcher's settings."""
    return _without(environ, (*_OF_THE_DATABASE, *OF_A_HOST))


def without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for programs of others: none of our settings and secrets."""
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}


def _without(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    left_out = {f"{PREFIX}{name.upper()}" for name in names}
    return {name: value for name, value in environ.items() if name not in left_out}


def without_secrets(settings: Settings) -> dict[str, Any]:
    """For a process of ours on this host, which has the secrets from the same environment."""
    return settings.model_dump(mode="json", exclude=set(SECRETS), exclude_none=True)


def _given_to_all(loc: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Where the table [cluster] has what a host of it may have from there."""
    return ("cluster", *loc[3:]) if loc[:2] == ("cluster", "hosts") and len(loc) > 3 else None


def _problem(details: Mapping[str, Any]) -> str:
    name = ".".join(map(str, details["loc"])) or "settings"
    return f"{name}: {plain(details['msg'])}"


def _from_file(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding=_UTF_8))
    except OSError as error:
        raise BadSetting(f"{file}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # also too many digits, or nested too deep
        raise BadSetting(f"{file}: not valid TOML: {error}") from error
    secret = sorted(set(values) & set(SECRETS))
    if secret:
        name = secret[0]
        raise BadSetting(
            f"{file}: {name} is a secret; set {PREFIX}{name.upper()} or "
            f"{PREFIX}{name.upper()}_FILE in the environment instead"
        )
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        secret = name.removesuffix("_file")
        if secret in SECRETS:
            if secret in values:
                one = f"{PREFIX}{secret.upper()}"
                raise BadSetting(f"{one} and {one}_FILE are both set; unset one of them")
            values[secret] = _secret(variable, value)
        else:
            values[name] = value
    return values


def _secret(variable: str, value: str) -> str:
    if not variable.endswith("_FILE"):
        return value
    try:
        return Path(value).read_text(encoding=_UTF_8).rstrip("\r\n")
    except OSError as error:
        raise BadSetting(f"{variable}: cannot read {value}: {error.strerror}") from error
    except UnicodeDecodeError:  # which holds the secret
        raise BadSetting(f"{variable}: {value} is not UTF-8; save it as UTF-8 text") from None
