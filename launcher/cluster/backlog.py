"""Tasks that are not at the scheduler, and which of them go there next."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_AHEAD = 3  # tasks sent to a thread: one runs, one sends its files, the next is already there


class Backlog(Generic[T]):
    """Tasks in the order they came, and suspects, each of which runs when nothing else does."""

    def __init__(self, tasks: Iterable[T], *, wants_card: Callable[[T], bool]) -> None:
        self._wants_card = wants_card
        # Kept apart, or those that wait for a card would keep the others from idle cores.
        self._waiting: dict[bool, deque[T]] = {True: deque(), False: deque()}
        self._suspects: deque[T] = deque()
        self.alone = False
        """Whether what runs is a suspect."""
        for task in tasks:
            self.add(task)

    def add(self, task: T) -> None:
        self._waiting[self._wants_card(task)].append(task)

    def suspect(self, task: T) -> None:
        self._suspects.append(task)

    def give(
        self, send: Callable[[T], bool], running: Collection[T], *, cards: int, others: int
    ) -> None:
        """Send as much as may be there beside what runs: `send` says whether a task went, since
        one may be refused. `cards`, `others`: threads of workers with a card, and without.
        """
        busy = bool(running)
        self.alone = self.alone and busy
        for wishes, limit in _pools(cards, others):
            at_work = sum(self._wants_card(task) in wishes for task in running)
            for wish in wishes:
                while self._waiting[wish] and at_work < limit:
                    went = send(self._waiting[wish].popleft())
                    at_work += went
                    busy = busy or went
        if not busy:
            self.alone = bool(self._suspects)
            while self._suspects and not send(self._suspects.popleft()):
                pass


def _pools(cards: int, others: int) -> Iterator[tuple[tuple[bool, ...], int]]:
    """Which tasks, by whether they want a card, share how many places at the scheduler."""
    if cards and others:
        yield (True,), _AHEAD * cards
        yield (False,), _AHEAD * others
    else:
        yield (True, False), max(1, _AHEAD * (cards + others))
