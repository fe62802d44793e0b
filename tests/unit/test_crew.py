"""How an embedded cluster divides a machine, and which cards it has."""

import pytest

from launcher.cluster import local
from launcher.cluster.local import Crew, crew_of
from launcher.host import machine

NONE, ONE, FOUR = (), ("0",), ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("wanted", "cores", "cards", "expected"),
    [
        (0, 8, NONE, Crew(workers=8, limit_mb=2000, cards=NONE, fits_a_card=0)),
        (2, 8, NONE, Crew(workers=2, limit_mb=8000, cards=NONE, fits_a_card=0)),
        (0, 8, ONE, Crew(workers=4, limit_mb=2000, cards=ONE, fits_a_card=4)),
        (0, 16, FOUR, Crew(workers=8, limit_mb=1000, cards=FOUR, fits_a_card=2)),
        (0, 2, ONE, Crew(workers=1, limit_mb=8000, cards=ONE, fits_a_card=1)),
        (0, 64, NONE, Crew(workers=16, limit_mb=1000, cards=NONE, fits_a_card=0)),
        (64, 64, NONE, Crew(workers=64, limit_mb=250, cards=NONE, fits_a_card=0)),
        (64, 8, NONE, Crew(workers=8, limit_mb=2000, cards=NONE, fits_a_card=0)),
        (8, 8, ONE, Crew(workers=4, limit_mb=2000, cards=ONE, fits_a_card=4)),
        (2, 1, NONE, Crew(workers=1, limit_mb=16_000, cards=NONE, fits_a_card=0)),
    ],
)
def test_threads_are_as_many_as_cores_and_share_the_memory(wanted, cores, cards, expected):
    assert crew_of(wanted, cores, cards, 16_000) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (None, FOUR),
        ("", NONE),
        ("-1", NONE),
        ("2", ("2",)),
        ("3, 1", ("3", "1")),
        ("0,-1,2", ("0",)),
        ("1,4,2", ("1",)),
        ("1,1", ("1",)),
        ("GPU-b278b05b", ("GPU-b278b05b",)),
        ("MIG-1,MIG-2,MIG-3,MIG-4,MIG-5", ("MIG-1", "MIG-2", "MIG-3", "MIG-4", "MIG-5")),
    ],
)
def test_cards_that_an_operator_hides_are_left_alone(shown, expected, tmp_path, monkeypatch):
    for number in FOUR:
        (tmp_path / number).mkdir()
    monkeypatch.setattr(machine, "_GPUS", tmp_path)
    monkeypatch.delenv(machine.SEEN, raising=False)
    if shown is not None:
        monkeypatch.setenv(machine.SEEN, shown)

    assert machine.cards() == expected


def test_a_machine_without_a_driver_has_no_cards(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_GPUS", tmp_path / "none")
    monkeypatch.setenv(machine.SEEN, "0")

    assert machine.cards() == NONE


@pytest.mark.parametrize(
    ("builds", "expected"), [({"torch"}, ONE), ({"xgboost"}, ONE), (set(), NONE)]
)
def test_a_card_that_no_library_knows_gets_no_worker(builds, expected, monkeypatch):
    monkeypatch.setattr(local, "cards", lambda: ONE)
    monkeypatch.setattr(local, "can_use_cards", builds.__contains__)

    assert local.usable_cards() == expected
