from collections.abc import Callable, Collection

from launcher.cluster.backlog import Backlog


def backlog(*tasks: str) -> Backlog[str]:
    """Tasks whose names begin with g want a card."""
    return Backlog(tasks, wants_card=lambda task: task.startswith("g"))


def given(
    waiting: Backlog[str],
    *running: str,
    cards: int = 0,
    others: int = 1,
    refused: Collection[str] = (),
) -> list[str]:
    sent: list[str] = []
    waiting.give(into(sent, refused), running, cards=cards, others=others)
    return sent


def into(sent: list[str], refused: Collection[str]) -> Callable[[str], bool]:
    def send(task: str) -> bool:
        if task in refused:
            return False
        sent.append(task)
        return True

    return send


def test_a_thread_gets_three_tasks_and_another_for_each_that_ends() -> None:
    waiting = backlog("1", "2", "3", "4", "5")
    assert given(waiting) == ["1", "2", "3"]
    assert given(waiting, "1", "2", "3") == []
    assert given(waiting, "2", "3") == ["4"]
    assert given(waiting) == ["5"]
    assert given(waiting) == []


def test_tasks_that_wait_for_a_card_keep_no_others_from_idle_cores() -> None:
    waiting = backlog("g1", "g2", "g3", "g4", "1", "2", "3", "4")
    assert given(waiting, cards=1, others=1) == ["g1", "g2", "g3", "1", "2", "3"]
    assert given(waiting, "g1", "g2", "g3", "1", "2", cards=1, others=1) == ["4"]
    assert given(waiting, "g2", "g3", "4", cards=1, others=1) == ["g4"]


def test_where_all_workers_are_alike_all_tasks_share_their_threads() -> None:
    assert given(backlog("1", "g1", "g2", "2"), others=1) == ["g1", "g2", "1"]
    assert given(backlog("1", "g1", "g2", "2"), cards=1, others=0) == ["g1", "g2", "1"]


def test_without_workers_one_task_goes_to_say_so() -> None:
    assert given(backlog("1", "2"), others=0) == ["1"]


def test_a_refused_task_leaves_its_place_to_the_next() -> None:
    assert given(backlog("1", "2", "3", "4"), refused={"1"}) == ["2", "3", "4"]


def test_a_suspect_runs_when_nothing_else_does() -> None:
    waiting = backlog("1")
    waiting.suspect("bad")
    waiting.suspect("worse")
    assert given(waiting) == ["1"]
    assert given(waiting, "1") == []
    assert not waiting.alone
    assert given(waiting) == ["bad"]
    assert waiting.alone
    assert given(waiting, "bad") == []
    assert given(waiting) == ["worse"]
    assert waiting.alone
    assert given(waiting) == []
    assert not waiting.alone


def test_a_suspect_that_is_refused_leaves_its_place_to_the_next() -> None:
    waiting = backlog()
    waiting.suspect("bad")
    waiting.suspect("worse")
    assert given(waiting, refused={"bad"}) == ["worse"]


def test_a_task_that_comes_back_waits_behind_the_others() -> None:
    waiting = backlog("1", "2", "3", "4")
    assert given(waiting) == ["1", "2", "3"]
    waiting.add("1")
    assert given(waiting, "2", "3") == ["4"]
    assert given(waiting, "2", "4") == ["1"]


def test_a_suspect_that_comes_back_is_one_of_many_again() -> None:
    waiting = backlog()
    waiting.suspect("bad")
    assert given(waiting) == ["bad"]
    waiting.add("bad")  # as when the scheduler was lost
    assert given(waiting) == ["bad"]
    assert not waiting.alone
