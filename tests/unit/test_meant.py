import pytest

from configs.meant import meant

KNOWN = ("testSize", "validationSize", "ML-RF", "ML-XGB")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("test_size", "testSize"), ("TESTSIZE", "testSize"), ("ml-xbg", "ML-XGB"), ("rf", None)],
)
def test_the_nearest_known_name_is_offered_whatever_its_case(
    name: str, nearest: str | None
) -> None:
    assert meant(name, KNOWN) == (f"did you mean {nearest}? " if nearest else "")
