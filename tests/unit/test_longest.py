"""Files of tests that begin first."""

from pathlib import Path

from tests.conftest import LONGEST

TESTS = Path(__file__).resolve().parents[1]


def test_what_is_listed_as_long_is_there() -> None:
    there = {path.stem for path in TESTS.rglob("test_*.py")}

    assert [name for name in LONGEST if name not in there] == []
    assert len(set(LONGEST)) == len(LONGEST)
