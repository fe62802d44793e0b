"""Which distribution holds a library, and what it was built for."""

from importlib.metadata import PackageNotFoundError

import pytest

from configs import installed


@pytest.mark.parametrize(
    ("library", "there", "version", "cards"),
    [
        ("xgboost", {"xgboost": "3.2.0"}, "3.2.0", True),
        ("xgboost", {"xgboost-cpu": "3.2.0"}, "3.2.0", False),
        ("xgboost", {}, None, False),
        ("torch", {"torch": "2.13.0"}, "2.13.0", True),
        ("torch", {"torch": "2.13.0+cu130"}, "2.13.0+cu130", True),
        ("torch", {"torch": "2.13.0+cpu"}, "2.13.0+cpu", False),
    ],
)
def test_builds_for_the_cpu_are_told_from_those_for_cards(
    library, there, version, cards, monkeypatch
):
    def of(distribution):
        try:
            return there[distribution]
        except KeyError:
            raise PackageNotFoundError(distribution) from None

    monkeypatch.setattr(installed, "version", of)

    assert installed.version_of(library) == version
    assert installed.can_use_cards(library) == cards
