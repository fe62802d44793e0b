import pytest

from models import ubjson


def _counted(count: int) -> bytes:
    return b"L" + count.to_bytes(8)


def _member(value: bytes) -> bytes:
    """An object whose only name is a."""
    return b"{" + _counted(1) + b"a" + value + b"}"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"i\xff", -1),
        (b"I\x01\x00", 256),
        (_member(b"S" + _counted(2) + b"xy"), {b"a": b"xy"}),
        (_member(b"[$d#" + _counted(1) + bytes(4)), {b"a": (ord("d"), bytes(4))}),
        (_member(b"[$d#" + _counted(0)), {b"a": []}),
        (b"[#" + _counted(2) + b"l" + bytes(4) + b"L" + bytes(8), [0, 0]),
    ],
)
def test_what_xgboost_writes_is_read(content: bytes, value: object) -> None:
    assert ubjson.read(content) == value


@pytest.mark.parametrize(
    "content",
    [
        _member(b"i\x00").replace(b"L", b"i"),
        _member(b"[$d#" + _counted(1).replace(b"L", b"l") + bytes(4)),
        _member(b"[#d#" + _counted(1) + bytes(4)),
        _member(b"S" + _counted(1).replace(b"L", b"l") + b"x"),
        _member(b"i\x00") + b"}",
        b"{" + 2 * _member(b"i\x00")[1:-1] + b"}",
    ],
)
def test_whatever_else_ubjson_allows_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"without its length|comes twice|does not end"):
        ubjson.read(content)
