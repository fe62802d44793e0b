"""How an embedded cluster divides a machine."""

import pytest

from launcher.cluster.local import Crew, crew_of


@pytest.mark.parametrize(
    ("wanted", "cores", "cards", "expected"),
    [
        (0, 8, 0, Crew(workers=8, limit_mb=2000, cards=0, fits_a_card=0)),
        (2, 8, 0, Crew(workers=2, limit_mb=8000, cards=0, fits_a_card=0)),
        (0, 8, 1, Crew(workers=4, limit_mb=2000, cards=1, fits_a_card=4)),
        (0, 16, 4, Crew(workers=8, limit_mb=1000, cards=4, fits_a_card=2)),
        (0, 2, 1, Crew(workers=1, limit_mb=8000, cards=1, fits_a_card=1)),
        (0, 64, 0, Crew(workers=16, limit_mb=1000, cards=0, fits_a_card=0)),
        (64, 64, 0, Crew(workers=64, limit_mb=250, cards=0, fits_a_card=0)),
    ],
)
def test_threads_are_as_many_as_cores_and_share_the_memory(wanted, cores, cards, expected):
    assert crew_of(wanted, cores, cards, 16_000) == expected
