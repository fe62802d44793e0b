"""The [cluster] table of deepcredit.toml: the hosts of a Dask cluster and what each one runs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from configs.meant import meant

_WORD = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
_TAG = r"^[A-Za-z][A-Za-z0-9_.-]*$"


def _size(value: str) -> str:
    if not re.fullmatch(r"auto|\d+(\.\d+)? ?[kKMGT]?i?B?", value):
        raise ValueError("must be auto or like 4GB")
    return value


def _whole_path(value: str) -> str:
    """A host's own: of an account there, in a folder there."""
    if value and not value.startswith("/"):
        raise ValueError("must be a whole path, which begins with /")
    return value


def _home_path(value: str) -> str:
    if not value.startswith(("/", "~/")):
        raise ValueError("must be a whole path, which begins with / or ~/")
    return value


HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
Tag = Annotated[str, Field(pattern=_TAG)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            if isinstance(values, cls):
                return values
            raise ValueError("must be a table of deepcredit.toml")
        if unknown := sorted(set(values) - set(cls.model_fields)):
            known = ", ".join(sorted(cls.model_fields))
            hint = meant(unknown[0], cls.model_fields)
            raise ValueError(
                f"unknown setting {', '.join(unknown)}; {hint}known settings are: {known}"
            )
        return values


class HostSettings(_Table):
    """What may be set for all hosts, and again for one."""

    user: str = Field("", pattern=r"^([A-Za-z_][\w.-]*)?$", description="SSH user; empty: as here")
    port: int = Field(22, ge=1, le=65535, description="port of its SSH server")
    key_file: HomePath | None = Field(None, description="private key; none: as `ssh` finds one")
    python: Annotated[str, AfterValidator(_whole_path)] = Field(
        "", description="its Python with DeepCredit; empty: the path used here"
    )
    workers: int | None = Field(
        None, ge=0, le=1024, description="worker processes without a GPU; none: as cores allow"
    )
    threads: int = Field(1, ge=1, le=1024, description="threads of a worker: tasks at once")
    memory_limit: Annotated[str, AfterValidator(_size)] = Field(
        "auto", description="a worker's, like 4GB"
    )
    gpus: int = Field(0, ge=0, le=64, description="cards to use, with a worker for each")
    fits_per_gpu: int | None = Field(
        None,
        ge=1,
        le=64,
        description="fits that may share a card; none: 4, or as cores allow",
    )
    tags: tuple[Tag, ...] = Field((), description="what tasks may ask for, as a Dask resource of 1")
    resources: dict[Tag, float] = Field(
        default_factory=dict, description="Dask resources of each worker"
    )
    interface: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][\w.@-]*)?$",
        description="network interface for Dask; empty: the address that SSH reached",
    )
    env_file: Annotated[str, AfterValidator(_whole_path)] = Field(
        "", description="file on the host with DEEPCREDIT_... settings, secrets"
    )
    folder: Annotated[str, AfterValidator(_home_path)] = Field(
        "~/.deepcredit/cluster", description="folder on the host for logs, pid files, scratch"
    )


class Host(HostSettings):
    """One host; `name` tells it from others, and tells its workers' names."""

    address: str = Field(pattern=_WORD, description="name or IP address for SSH")
    name: str = Field("", pattern=_WORD, description="what we call it; default: its address")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "address" in values:
            return {"name": values["address"], **values}
        return values


class Cluster(HostSettings):
    """The whole table."""

    hosts: tuple[Host, ...] = Field(
        min_length=1, max_length=64, description="addresses, or tables with `address` and the above"
    )
    known_hosts: HomePath = Field(
        Path("~/.ssh/known_hosts").expanduser(), description="file that must name every host's key"
    )
    scheduler_host: str = Field("", description="name of the scheduler's host; empty: the first")
    scheduler_port: int = Field(8786, ge=1, le=65535, description="port of the scheduler")
    dashboard_port: int = Field(8787, ge=1, le=65535, description="port of Dask's dashboard")
    certificates: HomePath | None = Field(
        None, description="folder that `deepcredit cluster certificates` made; none: no TLS"
    )
    start_seconds: float = Field(
        120, gt=0, le=3600, description="how long to wait for scheduler and workers"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_hosts(cls, values: Any) -> Any:
        """Give each host what is set for all."""
        if not isinstance(values, Mapping) or not isinstance(values.get("hosts"), list | tuple):
            return values
        shared = {name: values[name] for name in HostSettings.model_fields if name in values}
        tables = [{"address": each} if isinstance(each, str) else each for each in values["hosts"]]
        filled = [{**shared, **each} if isinstance(each, Mapping) else each for each in tables]
        return {**values, "hosts": filled}

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [host.name for host in self.hosts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: named twice in hosts; give each its own `name`")
        if self.scheduler_host and self.scheduler_host not in names:
            raise ValueError(
                f"scheduler_host: {self.scheduler_host} is none of {', '.join(names)}; "
                "add it to hosts, with workers = 0 if it is to run none"
            )
        return self

    @property
    def scheduler(self) -> Host:
        wanted = self.scheduler_host or self.hosts[0].name
        return next(host for host in self.hosts if host.name == wanted)


def certificates_in(folder: Path) -> dict[str, str]:
    """CA, certificate and key as PEM text, from ca.pem, cert.pem and key.pem.

    Raises:
        OSError: one is missing or unreadable.
        ValueError: others than the owner may use the key.
    """
    key = folder / "key.pem"
    if key.stat().st_mode & 0o077:
        raise ValueError(f"{key}: others may read this private key; chmod 600 it")
    names = ("ca", "cert", "key")
    return {name: (folder / f"{name}.pem").read_text(encoding="ascii") for name in names}
