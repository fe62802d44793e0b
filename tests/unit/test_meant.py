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


def test_of_many_names_the_first_are_said() -> None:
    assert some([], 2) == ""
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b, ..."
