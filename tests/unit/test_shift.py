"""What a predict batch says of the stability indices of its models."""

import pytest

from pipeline.shift import in_words


@pytest.mark.parametrize(
    ("found", "chance", "said"),
    [
        ([0.05, 0.1], 0.01, None),
        ([0.05, 0.11, 0.25], 0.01, "2 of 3 {} moderately (PSI above 0.1, up to 0.250)"),
        ([0.2, 0.2512, 1.234], 0.01, "2 of 3 {} (PSI above 0.25, up to 1.234)"),
        ([0.2, 0.2512], 0.01, "1 of 2 {} (PSI above 0.25, up to 0.251)"),
        ([0.2, 0.26], 0.3, None),
        ([0.15, 0.22], 0.2, "1 of 2 {} moderately (PSI above 0.1, up to 0.220)"),
        ([0.26, 0.41], 0.4, "1 of 2 {} (PSI above 0.25, up to 0.410)"),
    ],
)
def test_a_shift_is_told_that_is_more_than_chance(found, chance, said):
    expected = () if said is None else (f"scores of {said.format('models have shifted')}",)
    assert in_words(found, chance) == expected
