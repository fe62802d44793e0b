"""Data sets are read from MariaDB: by connectorx or the cursor, and every type."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import connectorx
import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import column, create_engine, select, table, text
from structlog.testing import capture_logs

from pipeline import frames
from pipeline.datasets import register_table
from pipeline.roles import Choices
from storage import bulk_read
from storage.engine import reading
from tests.data_sets import execute, frame_of, load, small
from tests.mariadb import PASSWORD
from tests.waiting import until


def test_a_url_that_connectorx_does_not_know_is_read_through_the_cursor(mariadb_engine, tmp_path):
    dataset = load(mariadb_engine, small(tmp_path / "file.parquet", 300))
    slow = create_engine(mariadb_engine.url.update_query_dict({"client_flag": "0"}))

    frame = frame_of(slow, dataset)

    slow.dispose()
    assert frame.by_name["x"].values.tolist() == [float(number) for number in range(300)]


def test_connectorx_is_what_reads(mariadb_engine, tmp_path):
    load(mariadb_engine, small(tmp_path / "file.parquet", 300))
    question = select(column("x").label("c0")).select_from(table("dc_data_data001_1"))

    with reading(mariadb_engine) as connection:
        found = bulk_read._through_connectorx(connection, [question])

    assert found.column("c0").to_pylist() == [float(number) for number in range(300)]


def test_a_server_that_is_gone_is_noticed_though_connectorx_has_no_time_limit(mariadb_engine):
    def watched() -> bool:
        """Whether the kernel asks within half a minute if the other end of our connection is there;
        for the driver's own it does so after hours.
        """
        lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
        return any(
            peer.endswith(f":{mariadb_engine.url.port:04X}")
            and timer.startswith("02:")
            and int(timer[3:], 16) <= 30 * os.sysconf("SC_CLK_TCK")
            for _, _, peer, _, _, timer, *_ in map(str.split, lines)
        )

    def read() -> pa.Table | None:
        with reading(mariadb_engine) as connection:
            return bulk_read._through_connectorx(connection, [text("SELECT SLEEP(1) AS c0")])

    assert not watched()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(read)
        until(watched)

    assert found.result().num_rows == 1


@pytest.mark.parametrize("authority", [False, True])
def test_rows_come_by_tls_wherever_the_server_offers_it(
    mariadb_server, mariadb_engine, tmp_path, authority
):
    """Not by the way of connectorx alone in plain text."""
    load(mariadb_engine, small(tmp_path / "file.parquet", 300))
    query = {"ssl_ca": str(mariadb_server.certificate)} if authority else {}
    url = mariadb_engine.url.set(query=query)
    status = "SELECT variable_value FROM information_schema.session_status"
    question = text(f"{status} WHERE variable_name = 'Ssl_version'")

    with create_engine(url).connect() as connection:
        assert connection.scalar(question).startswith("TLS")
        found = bulk_read._through_connectorx(connection, [question])

    assert found.column(0)[0].as_py().startswith("TLS")


@pytest.mark.parametrize("password", ["geheim 암호!", "é%/@:"])
def test_a_password_in_any_script_serves_every_connection(account, tmp_path, password):
    engine = account(password=password)

    with capture_logs() as logs:
        dataset = load(engine, small(tmp_path / "file.parquet", 300))
        assert frame_of(engine, dataset).n_rows == 300

    assert logs == []  # connectorx read it too


def test_parts_that_come_in_another_order_need_no_sorting(mariadb_engine, tmp_path, monkeypatch):
    dataset = load(mariadb_engine, small(tmp_path / "file.parquet", 30_000))
    read = connectorx.read_sql

    def last_part_first(*arguments, **options):
        batches = read(*arguments, **options).to_batches()
        return pa.Table.from_batches(sorted(batches, key=lambda each: -each.columns[-1][0].as_py()))

    monkeypatch.setattr(connectorx, "read_sql", last_part_first)
    with reading(mariadb_engine) as connection:
        found = bulk_read.read_table(
            connection, dataset.table_name, ["x"], order_column="dc_row_no", n_rows=30_000
        )

    order = found.column("dc_row_no")
    assert order.num_chunks > 1
    assert (np.diff(order.to_numpy()) > 0).all()


def test_no_error_of_connectorx_shows_the_password(mariadb_engine, capfd):
    with capture_logs() as logs, reading(mariadb_engine) as connection:
        found = bulk_read._through_connectorx(connection, [text("SELECT x FROM nowhere")])

    assert found is None
    [event] = logs
    assert event["event"] == "connectorx failed; the ordinary cursor reads, ten times slower"
    out, err = capfd.readouterr()
    for secret in (PASSWORD, mariadb_engine.url.render_as_string(hide_password=False)):
        assert secret not in out + err + str(logs)


def test_every_type_of_mariadb_is_read(mariadb_engine):
    execute(
        mariadb_engine,
        """CREATE TABLE every (
            id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT, truth BOOLEAN, medium MEDIUMINT UNSIGNED,
            whole INT UNSIGNED, big BIGINT, price DECIMAL(20,4), bits BIT(3), fraction FLOAT,
            double_ DOUBLE, year_ YEAR, fixed CHAR(5) CHARACTER SET latin1,
            exact VARCHAR(9) COLLATE utf8mb4_bin, choice ENUM('x','y'), choices SET('x','y'),
            json_ JSON, note TEXT, digits VARCHAR(9), day DATE, moment DATETIME(6),
            stamp TIMESTAMP NULL, hour TIME, nothing INT, y TINYINT)""",
        """INSERT INTO every VALUES (18000000000000000001, -1, TRUE, 7, 4000000000,
            9007199254740993, 12.5, b'101', 0.5, 0.1, 2024, 'aé', '가', 'x', 'x,y', '{}', '', '1.5',
            '2024-01-02', '2024-01-02 03:04:05.5', NULL, '10:00:00', NULL, 1)""",
        "SET SESSION time_zone = '+05:00'",
        """INSERT INTO every VALUES (2, NULL, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, 'note', NULL, NULL, NULL, '2024-01-02 03:04:05', NULL,
            NULL, 0)""",
    )
    said = []
    dataset = register_table(
        mariadb_engine,
        "every",
        group="G",
        choices=Choices(target="y", id_column="id", categorical=("stamp", "moment", "day")),
        tell=said.append,
    )
    frame = frame_of(mariadb_engine, dataset)

    def value(name, row):
        feature = frame.by_name[name]
        if isinstance(feature, frames.Numeric):
            return None if np.isnan(feature.values[row]) else feature.values[row]
        code = feature.codes[row]
        return None if code < 0 else feature.categories[code]

    first = {feature.name: value(feature.name, 0) for feature in frame.features}
    assert first == {
        "tiny": -1,
        "truth": 1,
        "medium": 7,
        "whole": 4000000000,
        "big": 2.0**53,
        "price": 12.5,
        "bits": 5,
        "fraction": 0.5,
        "double_": 0.1,
        "year_": 2024,
        "fixed": "aé",
        "exact": "가",
        "choice": "x",
        "choices": "x,y",
        "json_": "{}",
        "note": None,
        "digits": 1.5,
        "day": "2024-01-02",
        "moment": "2024-01-02 03:04:05.500000",
        "stamp": None,
        "hour": "10:00:00",
        "nothing": None,
    }
    # The row with id 2 comes second: ids are compared as text. Its time is told in UTC.
    assert value("stamp", 1) == "2024-01-01 22:04:05"
    assert frame.labels.tolist() == [1, 0]
    slow = create_engine(mariadb_engine.url.update_query_dict({"client_flag": "0"}))
    assert frame_of(slow, dataset).content_sha256 == dataset.content_sha256
    slow.dispose()


def test_a_long_decimal_that_names_rows_keeps_every_digit(mariadb_engine):
    execute(
        mariadb_engine,
        "CREATE TABLE accounts (account DECIMAL(20,0), x DECIMAL(20,0), y INTEGER)",
        "INSERT INTO accounts VALUES (12345678901234567891, 2, 1), (12345678901234567890, 1, 0)",
    )
    choices = Choices(target="y", id_column="account")
    dataset = register_table(mariadb_engine, "accounts", group="G", choices=choices)

    assert frame_of(mariadb_engine, dataset).by_name["x"].values.tolist() == [1, 2]
