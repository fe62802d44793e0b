from pipeline.progress import Tally, span


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_tells_share_failures_and_the_time_left() -> None:
    told: list[tuple[float, str]] = []
    clock = Clock()
    tally = Tally(
        total=10, before=4, unit="model", report=lambda *said: told.append(said), clock=clock
    )

    clock.now = 30.0
    tally.advance("ML-XGB 1/5")
    clock.now = 60.0
    tally.advance("ML-XGB 1/6", failed=True)

    assert told == [
        (0.4, "4 of 10 models"),
        (0.5, "5 of 10 models, about 2 min left, last ML-XGB 1/5"),
        (0.6, "6 of 10 models, 1 failed, about 2 min left, last ML-XGB 1/6"),
    ]


def test_a_last_unit_is_not_the_end_of_the_batch() -> None:
    told: list[float] = []
    tally = Tally(
        total=2_000, before=0, unit="ensemble", report=lambda share, _: told.append(share)
    )

    tally.advance(units=1)
    tally.advance(units=1_999)

    assert told == [0, 0.0005, 0.99]


def test_spans_read_as_people_say_them() -> None:
    assert [span(s) for s in (0.4, 89, 90, 5399, 5400, 36_000)] == [
        "0 s",
        "89 s",
        "2 min",
        "90 min",
        "1.5 h",
        "10.0 h",
    ]
