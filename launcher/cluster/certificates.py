"""Certificates for a cluster that speaks TLS."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from configs.cluster import certificates_in
from configs.errors import BadSetting
from configs.wording import counted, refusal

_FEW_DAYS = 30

FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of a certificate that has none, as RFC 5280 writes it."""

_YEAR = timedelta(days=365)
_DAY = timedelta(days=1)


def read(folder: Path | None) -> dict[str, str] | None:
    """The texts by their names in FILES; without a folder there is no TLS."""
    if folder is None:
        return None
    try:
        found = certificates_in(folder)
    except ValueError as error:
        raise BadSetting(f"certificates: {error}") from error
    except OSError as error:
        raise BadSetting(
            f"certificates: {refusal(error) or error}; `deepcredit cluster certificates` makes "
            "them, once for all servers of the cluster"
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
            f"the cluster's certificate ends in {counted(left, 'day')}, and nobody connects after "
            "that: stop the cluster and make a new one (docs/cluster.md)"
        )


def self_signed(end: datetime) -> dict[str, str]:
    """The texts by their names in FILES: one certificate for scheduler, workers and launchers
    alike. Whoever has its key belongs to the cluster, and each is its own authority, so clusters
    are strangers to each other.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "deepcredit")])
    begin = min(datetime.now(UTC), end) - _DAY  # for hosts whose clocks are behind
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256())
    cert = signed.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"ca": cert, "cert": cert, "key": private}


def make(folder: Path) -> None:
    """Write ca.pem, cert.pem and key.pem, valid for a year.

    Raises:
        BadSetting: the folder has such files already, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in self_signed(datetime.now(UTC) + _YEAR).items():
            file = os.open(folder / FILES[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as stream:
                stream.write(text)
    except FileExistsError as error:
        raise BadSetting(f"{error.filename} exists; move it away first") from error
    except OSError as error:
        raise BadSetting(f"{error.filename}: cannot write it: {error.strerror}") from error
