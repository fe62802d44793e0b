import time

import pytest

from configs.meant import meant, some

KNOWN = ("testSize", "validationSize", "ML-RF", "ML-XGB")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("test_size", "testSize"),
        ("TESTSIZE", "testSize"),
        ("ml-xbg", "ML-XGB"),
        ("rf", None),
        ("val", "validationSize"),
        ("ml", None),
    ],
)
def test_the_nearest_known_name_is_offered_whatever_its_case(
    name: str, nearest: str | None
) -> None:
    assert meant(name, KNOWN) == (f"did you mean {nearest}? " if nearest else "")


def test_a_very_long_name_is_like_none_and_takes_no_time() -> None:
    began = time.monotonic()

    assert meant("k" * 1_000_000, KNOWN) == ""
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ["신용M1", "é", "한글과 컴퓨터, ㈜"])
def test_a_name_that_the_client_of_sql_has_mangled_is_told_as_it_was_sent(name: str) -> None:
    taken = "".join(
        chr(byte) if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([byte]).decode("cp1252")
        for byte in name.encode()
    )

    assert meant(taken, [name]).startswith(f"was it sent as {name}? then start the SQL client")
    assert meant(name, ["other"]) == ""


def test_of_many_names_the_first_are_said() -> None:
    assert some([], 2) == ""
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b, ..."
