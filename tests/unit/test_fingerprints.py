import pytest

from pipeline import fingerprints

GIVEN = {"model_id": "ML-RF", "variant": {"b": 1, "a": [0.5, None]}, "seed": 7}
OF_VALUES = "d75441063c3301a6313c32f279c4d4947e9b80dd48b7767f3c3730543015dc4a"
OF_TEXT = "ba39dd8f5a78a2ebf2d0dcc66e0f170d8c1d24cb6d55e69150a4f181434b15e1"


def test_fingerprints_are_those_that_earlier_releases_wrote_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else every model would be trained again after an upgrade."""
    monkeypatch.setattr(fingerprints, "REVISION", 1)

    assert fingerprints.of(**GIVEN) == OF_VALUES
    assert fingerprints.of(**dict(reversed(GIVEN.items()))) == OF_VALUES
    assert fingerprints.of_text("model matrix") == OF_TEXT


def test_another_revision_of_the_computation_makes_all_of_them_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = set()
    for revision in (1, 2, 3):
        monkeypatch.setattr(fingerprints, "REVISION", revision)
        found |= {fingerprints.of(**GIVEN), fingerprints.of_text("model matrix")}

    assert len(found) == 6
