from itertools import islice

from configs.backoff import pauses


def test_pauses_double_up_to_the_longest_with_jitter_below():
    for _ in range(100):
        found = list(islice(pauses(0.1, 0.5), 6))
        for pause, most in zip(found, (0.1, 0.2, 0.4, 0.5, 0.5, 0.5), strict=True):
            assert most / 2 <= pause <= most


def test_those_that_fail_together_do_not_come_back_together():
    assert len({next(pauses(1, 10)) for _ in range(100)}) > 90
