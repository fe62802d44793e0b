"""Where batches find a scheduler that others have started."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from configs.cluster import Cluster
from configs.errors import BadSetting, ClusterAway
from configs.settings import Settings
from launcher.cluster.certificates import FILES, self_signed
from launcher.service.clusters import make_cluster
from tests.runs import scheduler_away


def test_a_scheduler_answers_once_its_port_is_open() -> None:
    with scheduler_away() as (listener, cluster):
        assert not cluster.answers()
        listener.listen()
        assert cluster.answers()


def settings(scheduler: str, folder: Path | None) -> Settings:
    named = {} if folder is None else {"certificates": str(folder)}
    cluster = Cluster.model_validate({"hosts": ["10.0.0.1"]} | named)
    return Settings(scheduler=scheduler, cluster=cluster)


def write_certificates(folder: Path) -> dict[str, str]:
    made = self_signed(datetime.now(UTC) + timedelta(days=1))
    for name, text in made.items():
        (folder / FILES[name]).write_text(text)
        (folder / FILES[name]).chmod(0o600)
    return made


def test_certificates_are_for_a_scheduler_that_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^cluster.certificates: /.*No such file.*; copy"):
        make_cluster(settings("tls://host:8786", tmp_path))
    made = write_certificates(tmp_path)

    assert make_cluster(settings("tls://host:8786", tmp_path)).scheduler().certificates == made
    assert make_cluster(settings("tcp://host:8786", tmp_path)).scheduler().certificates is None
    (tmp_path / FILES["key"]).chmod(0o644)
    with pytest.raises(BadSetting, match=r"^cluster.certificates: "):
        make_cluster(settings("tls://host:8786", tmp_path))


def test_new_certificates_are_for_the_next_batch(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    cluster = make_cluster(settings("tls://host:8786", tmp_path))

    (tmp_path / FILES["cert"]).unlink()
    with pytest.raises(ClusterAway, match=r"^cluster.certificates: /.*No such file.*; copy"):
        cluster.scheduler()
    made = write_certificates(tmp_path)
    assert cluster.scheduler().certificates == made


def test_a_scheduler_with_tls_and_no_certificates_is_no_setting() -> None:
    for wrong in (Settings(scheduler="tls://host:8786"), settings("tls://host:8786", None)):
        with pytest.raises(BadSetting, match="name the folder of its certificates"):
            make_cluster(wrong)
