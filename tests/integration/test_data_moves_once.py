"""What a batch on another host's workers asks of an SFTP server, by that server's own log."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from launcher.demo.applicants import ID, TARGET, write_csv
from tests.bank import Bank, dask, environment
from tests.sshd import SshdMissing, running_sshd

MODELS = """
[[model]]
model_no = 1
model_id = "ML-XGB"
model_group_id = "M"
[model.param]
n_estimators = 5
[model.param.grid]
max_depth = [1, 2, 3, 4, 5, 6, 7, 8]
"""
_WORKERS = 2
_SERVER = shutil.which("sftp-server", path="/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh")


@pytest.fixture
def sshd(tmp_path):
    if _SERVER is None:
        pytest.skip("no sftp-server that logs to a file")
    server = tmp_path / "sftp-server"
    server.write_text(f'#!/bin/sh\nexec {_SERVER} -e -l VERBOSE 2>>"{tmp_path}/sftp.log"\n')
    server.chmod(0o755)
    try:
        with running_sshd(tmp_path / "sshd", options={"Subsystem": f"sftp {server}"}) as found:
            yield found
    except SshdMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.mark.slow
def test_a_host_fetches_matrix_and_split_once_however_many_workers_it_has(tmp_path, sshd):
    store = sshd.settings("models")
    env = environment(
        tmp_path,
        STORE_URL=store["store_url"],
        SFTP_KEY_FILE=str(store["sftp_key_file"]),
        SFTP_KNOWN_HOSTS=str(store["sftp_known_hosts"]),
    )
    write_csv(tmp_path / "rows.csv", 800, 1)
    (tmp_path / "models.toml").write_text(MODELS)
    there = env | {"DEEPCREDIT_CACHE_DIR": str(tmp_path / "cache of the host")}
    with dask(tmp_path, there, _WORKERS) as address:
        bank = Bank(tmp_path, env | {"DEEPCREDIT_SCHEDULER": address}, lambda statement: [])
        bank.deepcredit("db", "upgrade")
        load = ("dataset", "load", "rows.csv", "--group", "G", "--target", TARGET, "--id", ID)
        bank.deepcredit(*load)
        bank.deepcredit("model", "load", "models.toml")
        add = ("batch", "add", "--mode", "train", "--dataset", "G/1", "--model-group", "M")
        batch = bank.deepcredit(*add).split()[-1]
        try:
            assert bank.launcher("SERVER_001", "--drain").wait(120) == 0
        finally:
            bank.close()
        bank.deepcredit("batch", "wait", batch)

    opened = _opened(tmp_path / "sftp.log")
    read = Counter({path: n for (path, how), n in opened.items() if how == "READ"})
    assert sorted(Path(path).parent.name for path in read) == ["matrices", "splits"]
    assert set(read.values()) == {1}
    written = [path for path, how in opened if "WRITE" in how and "/models/T" in path]
    assert len(written) == 2 * 8  # a model and its scores, each put once


def _opened(log):
    """How often each file was opened, by path and how."""
    return Counter(re.findall(r'open "([^"]+)" flags (\S+)', log.read_text()))
