from storage.results import fingerprint


def test_a_fingerprint_is_the_one_that_earlier_releases_wrote_down() -> None:
    """Else every model would be trained again after an upgrade."""
    given = {"model_id": "ML-RF", "variant": {"b": 1, "a": [0.5, None]}, "seed": 7}

    assert fingerprint(**given) == fingerprint(**dict(reversed(given.items())))
    assert fingerprint(**given) == (
        "d75441063c3301a6313c32f279c4d4947e9b80dd48b7767f3c3730543015dc4a"
    )
