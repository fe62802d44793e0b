import errno

import pytest

from configs.wording import counted, refusal


def test_one_of_a_thing_is_not_several() -> None:
    found = [counted(number, "model") for number in (0, 1, 2, 1000)]

    assert found == ["0 models", "1 model", "2 models", "1,000 models"]
    assert [counted(number, "batch", "batches") for number in (1, 2)] == ["1 batch", "2 batches"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.csv"), "a.csv: No such file"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "the working directory is gone; change"),
        (TimeoutError(), ""),  # without a reason it would be no message
        (OSError("what a library says"), ""),
        (ValueError("x"), ""),
    ],
)
def test_only_what_the_system_refused_with_a_reason_is_told_as_that(
    error: Exception, said: str
) -> None:
    assert refusal(error).startswith(said)
    assert bool(refusal(error)) == bool(said)
