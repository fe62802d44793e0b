"""A cluster's certificate that ends, which Dask tells as a scheduler that does not answer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster import certificates
from launcher.cluster.connection import connect
from launcher.cluster.look import look

Made = Callable[[timedelta], Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes a folder of certificates that end so long from now."""

    def make(left: timedelta) -> Path:
        for name, text in certificates.self_signed(datetime.now(UTC) + left).items():
            file = tmp_path / certificates.FILES[name]
            file.write_text(text)
            file.chmod(0o600)
        return tmp_path

    return make


def test_one_that_has_ended_is_named_before_anything_is_started(made: Made) -> None:
    with pytest.raises(BadSetting, match=r"the certificate ended on .*make a new one"):
        certificates.read(made(timedelta(seconds=-1)))


@pytest.mark.parametrize("ask", [look, connect])
def test_one_that_has_ended_is_named_by_who_asks_the_scheduler(
    made: Made, ask: Callable[..., object]
) -> None:
    folder = made(timedelta(seconds=-1))
    texts = {name: (folder / f"{name}.pem").read_text() for name in certificates.FILES}

    with pytest.raises(ClusterUnavailable, match="the certificate ended on "):
        ask("tls://127.0.0.1:9", texts, patience=2)


def test_what_is_no_certificate_is_said(made: Made) -> None:
    folder = made(timedelta(days=1))
    (folder / "cert.pem").write_text("nothing")

    with pytest.raises(BadSetting, match=r"^certificates: "):
        certificates.read(folder)


@pytest.mark.parametrize(("days", "warnings"), [(31.5, 0), (29.5, 1)])
def test_one_that_ends_soon_is_told_of(made: Made, days: float, warnings: int) -> None:
    found = certificates.read(made(timedelta(days=days)))

    assert len(list(certificates.ending(found))) == warnings


def test_where_there_is_none_none_ends() -> None:
    assert list(certificates.ending(None)) == []


def test_what_we_make_is_valid_for_a_year(tmp_path: Path) -> None:
    certificates.make(tmp_path / "tls")
    found = certificates.read(tmp_path / "tls")
    assert found is not None

    left = certificates.last_day(found) - datetime.now(UTC)
    assert timedelta(days=364) < left <= timedelta(days=365)
