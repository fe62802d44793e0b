from configs.wording import counted


def test_one_of_a_thing_is_not_several() -> None:
    found = [counted(number, "model") for number in (0, 1, 2, 1000)]

    assert found == ["0 models", "1 model", "2 models", "1,000 models"]
    assert [counted(number, "batch", "batches") for number in (1, 2)] == ["1 batch", "2 batches"]
