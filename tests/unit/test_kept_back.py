from datetime import datetime
from typing import get_args

import pytest

from launcher.service.kept_back import what_to_do
from storage.kept import Kept
from storage.obstacles import FLEET, HERE, PAUSED_QUEUE, Name

TIME = datetime(2999, 1, 1)  # noqa: DTZ001 - UTC, as the column


@pytest.mark.parametrize("reason", get_args(Name))
def test_for_everything_that_keeps_batches_there_is_something_to_do(reason):
    kept = Kept(reason=reason, queue="default", need_tag="t", n=1, batch_id=1, run_after=TIME)

    why, what = what_to_do(kept, server_id="S").split("; ")

    assert why
    assert "`deepcredit " in what or "--" in what


def test_each_name_is_of_an_obstacle():
    assert {each.name for each in (PAUSED_QUEUE, *FLEET, *HERE)} == set(get_args(Name))
