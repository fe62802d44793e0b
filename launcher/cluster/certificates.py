"""Certificates for a cluster that speaks TLS."""

import os
from pathlib import Path

from distributed.security import Security

from configs.errors import BadSetting


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
            file = os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as stream:
                stream.write(text)
    except FileExistsError as error:
        raise BadSetting(f"{error.filename} exists; move it away first") from error
    except OSError as error:
        raise BadSetting(f"{error.filename}: cannot write it: {error.strerror}") from error
