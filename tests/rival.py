"""A second party in a thread of its own, for tests of who waits for whom."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_BLOCKED_SECONDS = 0.15
_PATIENCE_SECONDS = 30


class Rival(Generic[T]):
    """Starts `work` at once."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._values: list[T] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def must_wait(self) -> None:
        """Assert that it is still at it after a while in which it could have finished."""
        self._thread.join(_BLOCKED_SECONDS)
        assert self._thread.is_alive(), f"the rival did not wait: {self._values or self._errors}"

    def must_pass(self) -> None:
        """Assert that it comes to its end, whoever holds what."""
        self.result()

    def result(self) -> T:
        """What `work` returned; its error is raised here."""
        self._thread.join(_PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the rival never came to an end"
        for error in self._errors:
            raise error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._work())
        except BaseException as error:
            self._errors.append(error)
