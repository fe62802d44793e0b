import traceback
from pathlib import Path

import pytest

from configs.errors import BadSetting
from configs.settings import SECRETS, Settings, load

NOWHERE = Path("no-such-file.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deepcredit.toml"


def test_without_any_source_everything_is_embedded() -> None:
    settings = load(environ={}, file=NOWHERE)

    assert settings.database_url == "sqlite:///var/deepcredit.db"
    assert settings.store_url == "var/store"
    assert settings.scheduler == ""
    assert settings.log_dir == Path("logs")


def test_the_command_line_beats_the_environment_beats_the_file_beats_defaults(file: Path) -> None:
    file.write_text(
        'store_url = "file"\nscheduler = "tcp://f:1"\nlog_dir = "file"\n', encoding="utf-8"
    )
    environ = {"DEEPCREDIT_STORE_URL": "environment", "DEEPCREDIT_SCHEDULER": "tcp://e:1"}

    settings = load({"store_url": "command line"}, environ=environ, file=file)

    assert settings.store_url == "command line"
    assert settings.scheduler == "tcp://e:1"
    assert settings.log_dir == Path("file")
    assert settings.cache_dir == Path("var/cache")


def test_other_programs_variables_are_none_of_ours() -> None:
    assert load(environ={"PATH": "/bin", "DATABASE_URL": "x"}, file=NOWHERE) == load(
        environ={}, file=NOWHERE
    )


@pytest.mark.parametrize(
    ("overrides", "environ", "text", "where"),
    [
        ({"databse_url": "x"}, {}, "", "the command line"),
        ({}, {"DEEPCREDIT_DATABSE_URL": "x"}, "", "DEEPCREDIT_... of the environment"),
        ({}, {}, 'databse_url = "x"', "deepcredit.toml"),
    ],
)
def test_an_unknown_setting_is_an_error_that_says_where_it_is_and_lists_the_known_ones(
    overrides: dict[str, str], environ: dict[str, str], text: str, where: str, file: Path
) -> None:
    file.write_text(text, encoding="utf-8")

    with pytest.raises(BadSetting, match="unknown setting databse_url in ") as caught:
        load(overrides, environ=environ, file=file)

    assert f"{where}; did you mean database_url? known settings are: " in str(caught.value)

    assert all(name in str(caught.value) for name in Settings.model_fields)


@pytest.mark.parametrize("name", ["database_url", "store_url"])
@pytest.mark.parametrize("url", ["user:geheim\uff20host/path", "user:geheim@[::1/path"])
def test_what_is_no_url_is_refused_by_name_and_not_repeated(name: str, url: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} is not a URL") as caught:
        load({name: f"scheme://{url}"}, environ={}, file=NOWHERE)

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", ["database_url", "store_url"])
@pytest.mark.parametrize("url", ["user:geheim@host/path", "user@host/path?a=b&passwd=geheim"])
def test_a_password_in_a_url_is_refused_and_not_repeated(name: str, url: str) -> None:
    with pytest.raises(BadSetting, match=r"DEEPCREDIT_\w+_PASSWORD") as caught:
        load({name: f"scheme://{url}"}, environ={}, file=NOWHERE)

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_the_file_is_refused_and_not_repeated(name: str, file: Path) -> None:
    file.write_text(f'{name} = "geheim"', encoding="utf-8")

    with pytest.raises(BadSetting, match=f"DEEPCREDIT_{name.upper()}_FILE") as caught:
        load(environ={}, file=file)

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_come_from_the_environment_or_a_file_named_there(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_text("비밀 word\n", encoding="utf-8")

    direct = load(environ={f"DEEPCREDIT_{name.upper()}": "비밀 word"}, file=NOWHERE)
    by_file = load(environ={f"DEEPCREDIT_{name.upper()}_FILE": str(path)}, file=NOWHERE)

    assert getattr(direct, name).get_secret_value() == "비밀 word"
    assert getattr(by_file, name).get_secret_value() == "비밀 word"
    assert "비밀" not in repr(by_file) + str(by_file) + by_file.model_dump_json()


def test_a_file_that_an_editor_of_windows_has_written_is_read(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xef\xbb\xbf" + "비밀\r\n".encode())
    file.write_bytes(b"\xef\xbb\xbf" + 'log_dir = "기록"\r\n'.encode())

    settings = load(environ={"DEEPCREDIT_DATABASE_PASSWORD_FILE": str(secret)}, file=file)

    assert settings.log_dir == Path("기록")
    assert settings.database_password is not None
    assert settings.database_password.get_secret_value() == "비밀"


def test_a_secret_file_that_cannot_be_read_is_an_error_that_names_it() -> None:
    with pytest.raises(BadSetting, match="DATABASE_PASSWORD_FILE: cannot read /none"):
        load(environ={"DEEPCREDIT_DATABASE_PASSWORD_FILE": "/none"}, file=NOWHERE)


def test_a_secret_file_that_is_not_utf8_is_an_error_that_does_not_repeat_it(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("hunter2 é".encode("latin-1"))

    with pytest.raises(BadSetting, match=r"PASSWORD_FILE: .*password is not UTF-8") as caught:
        load(environ={"DEEPCREDIT_DATABASE_PASSWORD_FILE": str(path)}, file=NOWHERE)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_and_its_file_at_once_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one", encoding="utf-8")

    with pytest.raises(BadSetting, match=r"DEEPCREDIT_SFTP_PASSWORD and .*_FILE"):
        load(
            environ={
                "DEEPCREDIT_SFTP_PASSWORD": "two",
                "DEEPCREDIT_SFTP_PASSWORD_FILE": str(path),
            },
            file=NOWHERE,
        )


def test_a_key_file_is_a_path_not_a_secret() -> None:
    settings = load(environ={"DEEPCREDIT_SFTP_KEY_FILE": "/etc/key"}, file=NOWHERE)

    assert settings.sftp_key_file == Path("/etc/key")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("workers", "many", "workers"),
        ("workers", "-1", "it must be at least 0"),
        ("lease_seconds", "0", "lease_seconds"),
        ("log_format", "xml", "log_format: it must be 'auto', 'text' or 'json'"),
        ("scheduler", "host:8786", "tcp://host:8786"),
        ("scheduler", "tcp://[::1:8786", "scheduler: Invalid IPv6"),
        ("scheduler", "tcp://host:87860", "scheduler: Port out of range"),
        ("stuck_seconds", "30", "stuck_seconds: must be 0 or at least 60"),
        ("stuck_seconds", "1e11", "stuck_seconds: it must be at most"),
        ("stuck_seconds", "-60", "stuck_seconds: must be 0 or at least 60"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_setting(name: str, value: str, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        load(environ={f"DEEPCREDIT_{name.upper()}": value}, file=NOWHERE)


def test_a_number_where_a_text_or_a_path_belongs_is_told_in_plain_words(file: Path) -> None:
    file.write_text("store_url = 1\nlog_dir = 2\n", "utf-8")

    said = "store_url: it must be a text, in quotes; log_dir: it must be a path, in quotes"
    with pytest.raises(BadSetting, match=f"^{said}$"):
        load(environ={}, file=file)


def test_of_a_table_with_a_bad_item_that_alone_is_told(file: Path) -> None:
    file.write_text('[cluster]\nhosts = [{ address = "10.0.0.1", name = "하나" }]', "utf-8")

    with pytest.raises(BadSetting, match=r"cluster\.hosts\.0\.name: it must match '[^;]+$"):
        load(environ={}, file=file)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('memory_limit = "20 Gb"', "memory_limit: must be auto or like 4GB"),
        ('env_file = "worker.env"', "env_file: must be a whole path, which begins with /"),
        ('python = "~/python"', "python: must be a whole path, which begins with /"),
        ('folder = "cluster"', "folder: must be a whole path, which begins with / or ~/"),
    ],
)
def test_what_a_table_of_hosts_has_wrong_is_told_in_plain_words(
    line: str, said: str, file: Path
) -> None:
    file.write_text(f'[cluster]\nhosts = ["10.0.0.1"]\n{line}\n', "utf-8")

    with pytest.raises(BadSetting) as caught:
        load(environ={}, file=file)

    assert str(caught.value) == f"cluster.{said}"


def test_a_bad_secret_is_not_repeated() -> None:
    with pytest.raises(BadSetting, match="database_password") as caught:
        load({"database_password": ["geheim"]}, environ={}, file=NOWHERE)

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["store_url =", "[[", "\x00", f"workers = {5000 * '9'}", f"workers = {990 * '[' + 990 * ']'}"],
    ids=["value", "table", "control", "digits", "depth"],
)
def test_a_file_that_is_not_toml_is_an_error_that_names_it(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")

    with pytest.raises(BadSetting, match=r"deepcredit\.toml: not valid TOML"):
        load(environ={}, file=file)


def test_a_file_that_is_not_utf8_is_an_error_that_names_it(file: Path) -> None:
    file.write_bytes('log_dir = "기록"'.encode("cp949"))

    with pytest.raises(BadSetting, match=r"deepcredit\.toml: not UTF-8"):
        load(environ={}, file=file)


def test_a_home_directory_in_a_path_is_found() -> None:
    settings = load({"cache_dir": "~/cache", "store_url": "~/store"}, environ={}, file=NOWHERE)

    assert settings.cache_dir == Path.home() / "cache"

    assert settings.store_url == str(Path.home() / "store")


def test_a_folder_in_the_place_of_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot read it"):
        load(environ={}, file=tmp_path)


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    settings = load(environ={}, file=NOWHERE)

    with pytest.raises(ValueError, match="frozen"):
        settings.workers = 3
