from pathlib import Path

import pytest

from configs.errors import BadSetting
from configs.settings import load
from storage.artifacts.opening import open_store


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("var/store", f"folder {Path.cwd()}/var/store"),
        ("/data/모델", "folder /data/모델"),
        ("sftp://user@host/data", "sftp://user@host:22/data"),
        ("sftp://user%40bank@host:2222/data/a%20b/", "sftp://user@bank@host:2222/data/a b"),
        ("sftp://user@[fd00::1]:2222/data", "sftp://user@[fd00::1]:2222/data"),
        ("sftp://user@host/~/models", "sftp://user@host:22/~/models"),
    ],
)
def test_a_store_url_names_a_place(url, where):
    settings = load({"store_url": url, "sftp_password": "x"}, environ={}, file=Path("none"))

    assert str(open_store(settings)) == where


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host/path", "not supported"),
        ("sftp://host/path", "no user"),
        ("sftp://user@/path", "no host"),
        ("sftp://user@host", "no folder"),
        ("sftp://user@host/~", "no folder"),
        ("sftp://user@host:70000/path", "port"),
        ("sftp://user@host/path?x=1", "%3F"),
    ],
)
def test_a_store_url_that_cannot_be_used_says_why(url, says):
    settings = load({"store_url": url, "sftp_password": "x"}, environ={}, file=Path("none"))

    with pytest.raises(BadSetting, match=says):
        open_store(settings)


def test_an_sftp_store_needs_a_key_or_a_password():
    settings = load({"store_url": "sftp://user@host/path"}, environ={}, file=Path("none"))

    with pytest.raises(BadSetting, match="DEEPCREDIT_SFTP_KEY_FILE"):
        open_store(settings)
