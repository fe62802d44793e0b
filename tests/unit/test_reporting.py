"""How often a launcher's log tells how far a batch is."""

import pytest
from structlog.testing import capture_logs

from launcher.service.reporting import Reporting
from pipeline.messages import Progress


@pytest.fixture
def told():
    """A report of a batch at 100 s by a clock, and that clock."""
    now = [100.0]
    return Reporting(7, seconds=60, clock=lambda: now[0]), now


def test_the_log_tells_after_a_while_and_then_of_each_tenth(told):
    report, now = told
    with capture_logs() as said:
        for seconds, share in [(1, 0.01), (61, 0.02), (300, 0.11), (301, 0.13), (302, 0.24)]:
            now[0] = 100 + seconds
            report(Progress(share, f"{share:.0%} of 100 models, about 9 min left"))

    assert [(line["batch_id"], line["done"], line["note"]) for line in said] == [
        (7, "2%", "2% of 100 models, about 9 min left"),
        (7, "13%", "13% of 100 models, about 9 min left"),
    ]


def test_two_lines_on_a_quick_batch_are_a_minute_apart(told):
    report, now = told
    with capture_logs() as said:
        for seconds in range(200):
            now[0] = 100 + seconds
            report(Progress(seconds / 200, ""))

    assert [line["done"] for line in said] == ["30%", "60%", "90%"]
