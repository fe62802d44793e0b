"""Certificates for a cluster that speaks TLS."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from distributed.security import Security

from configs.cluster import certificates_in
from configs.errors import BadSetting

_FEW_DAYS = 30

FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


def read(folder: Path | None) -> dict[str, str] | None:
    """The texts by their names in FILES; without a folder there is no TLS."""
    if folder is None:
        return None
    try:
        found = certificates_in(folder)
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"certificates: {error}; `deepcredit cluster certificates` makes them"
        ) from error
    try:
        check_valid(found)
    except ValueError as error:
        raise BadSetting(f"certificates: {folder}: {error}") from error
    return found


def last_day(certificates: Mapping[str, str]) -> datetime:
    """When the certificate ends. Raises ValueError: it is none."""
    return x509.load_pem_x509_certificate(certificates["cert"].encode()).not_valid_after_utc


def check_valid(certificates: Mapping[str, str]) -> None:
    """Dask would only say that nobody answers. Raises ValueError: it has ended, or is none."""
    end = last_day(certificates)
    if end <= datetime.now(UTC):
        raise ValueError(
            f"the certificate ended on {end:%Y-%m-%d}; stop the cluster, move the folder away, and "
            "make a new one with `deepcredit cluster certificates`"
        )


def ending(certificates: Mapping[str, str] | None) -> Iterator[str]:
    """A warning if they end soon."""
    if certificates is None:
        return
    left = (last_day(certificates) - datetime.now(UTC)).days
    if left < _FEW_DAYS:
        yield (
            f"the cluster's certificate ends in {left} days, and nobody connects after that: stop "
            "the cluster and make a new one (docs/cluster.md)"
        )


def make(folder: Path) -> None:
    """Write ca.pem, cert.pem and key.pem for scheduler, workers and launchers alike.

    They are Dask's own, one self-signed certificate: whoever has the key belongs to the cluster.
    Each such folder is its own authority, so clusters are strangers to each other.

    Raises:
        BadSetting: the folder has such files already, or cannot be written.
    """
    made = Security.temporary().get_tls_config_for_role("client")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in (
            ("ca", made["ca_file"]),
            ("cert", made["cert"]),
            ("key", made["key"]),
        ):
            file = os.open(folder / FILES[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as stream:
                stream.write(text)
    except FileExistsError as error:
        raise BadSetting(f"{error.filename} exists; move it away first") from error
    except OSError as error:
        raise BadSetting(f"{error.filename}: cannot write it: {error.strerror}") from error
