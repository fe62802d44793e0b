"""Processes that compute what is large, apart from the worker that got it to do.

Each loads the libraries of one name's calls alone. All that it took is free again when it ends,
soon after its last call, and at the latest with its worker.
"""

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, TypeVar, cast

from launcher.host import processes, python
from launcher.host.apart_main import Begun, Call, Failure, Hung

A = TypeVar("A")
R = TypeVar("R")

_COMMAND = python.program("launcher.host.apart_main")
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # or what it prints would end with it
_LOOK_SECONDS = 0.5
_REST_SECONDS = 5.0
_END_SECONDS = 5.0


class Died(Exception):
    """A process ended in the middle of a call; says how."""


class Hangs(Exception):
    """A call has waited for too long without running at all; says where it stands."""


class Apart:
    """The processes of one worker, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[_Process] = set()
        self._idle: dict[_Process, threading.Timer] = {}

    def call(
        self,
        name: str,
        function: Callable[[A], R],
        argument: A,
        *,
        stuck_seconds: float,
        look: Callable[[], None],
    ) -> R:
        """What a module's own function returns or raises. The process of an earlier call of the
        same name does it, if that rests; it then has its libraries already.

        `look` is called now and then, and what it raises ends the process. `stuck_seconds`: see
        stuck.watched; a process that cannot say where it stands is given twice as long.

        Raises:
            Died, Hangs: the process has ended.
            OSError: none can be started.
        """
        process = self._begin(name, Call(function, argument, stuck_seconds), look)
        try:
            answer = process.answer(look)
        except BaseException:
            self._end(process)
            raise
        self._rest(process)
        if isinstance(answer, Failure):
            raise answer.error
        return cast(R, answer)

    def memory(self) -> int:
        """Bytes that all processes have for themselves, those that rest included."""
        with self._lock:
            return sum(processes.memory(each.pid).own for each in self._all)

    def end_rested(self) -> None:
        """So that their memory is free."""
        self._end_all(self._take(lambda _: True))

    def _begin(self, name: str, call: Call, look: Callable[[], None]) -> "_Process":
        """One that rested may have died meanwhile; then a new one begins."""
        self._end_all(self._take(lambda each: each.name != name))
        for process in self._take(lambda each: each.name == name, at_most=1):
            with suppress(Died):
                return self._begun(process, call, look)
        process = _Process(name)
        with self._lock:
            self._all.add(process)
        return self._begun(process, call, look)

    def _begun(self, process: "_Process", call: Call, look: Callable[[], None]) -> "_Process":
        try:
            process.begin(call, look)
        except BaseException:
            self._end(process)
            raise
        return process

    def _take(
        self, wanted: Callable[["_Process"], bool], *, at_most: int | None = None
    ) -> list["_Process"]:
        """Processes that rested, and do no longer."""
        with self._lock:
            found = [each for each in self._idle if wanted(each)][:at_most]
            for each in found:
                self._idle.pop(each).cancel()
        return found

    def _rest(self, process: "_Process") -> None:
        timer = threading.Timer(_REST_SECONDS, self._end_rested, (process,))
        timer.daemon = True
        with self._lock:
            self._idle[process] = timer
        timer.start()

    def _end_rested(self, process: "_Process") -> None:
        with self._lock:
            if self._idle.get(process) is not threading.current_thread():
                return  # it is at work again
            del self._idle[process]
        self._end(process)

    def _end(self, process: "_Process") -> None:
        process.end()
        with self._lock:
            self._all.remove(process)

    def _end_all(self, rested: list["_Process"]) -> None:
        for process in rested:
            self._end(process)


class _Process:
    def __init__(self, name: str) -> None:
        self.name = name
        self._limit_seconds = 0.0
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*_COMMAND, str(theirs.fileno())],
                stdin=subprocess.PIPE,  # it ends with that, and so with us
                pass_fds=(theirs.fileno(),),
                env=python.environment() | _UNBUFFERED,
            )
        self.pid = self._process.pid

    def begin(self, call: Call, look: Callable[[], None]) -> None:
        """Returns when it is at work. Raises Died, Hangs."""
        self._limit_seconds = 2 * call.stuck_seconds
        try:
            self._pipe.send(call)
        except ConnectionError as error:
            raise self._died() from error
        if not isinstance(self._next(look), Begun):  # the last word on a call that was answered
            raise self._died()

    def answer(self, look: Callable[[], None]) -> Any:
        """What the call returned, or a Failure. Raises Died, Hangs."""
        answer = self._next(look)
        if isinstance(answer, Hung):
            raise Hangs(answer.where)
        return answer

    def _next(self, look: Callable[[], None]) -> Any:
        """Its wait wakes now and then, or we would be taken for stuck ourselves."""
        ran, still = "", 0.0
        try:
            while not self._pipe.poll(_LOOK_SECONDS):
                look()
                before, ran = ran, processes.has_run(self.pid)
                still = still + _LOOK_SECONDS if ran == before else 0.0
                if ran and 0 < self._limit_seconds < still:
                    raise Hangs(f"it has not run for {still:.0f} s\nand cannot say where it stands")
            return self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._died() from error

    def _died(self) -> Died:
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return Died(processes.how_it_ended(code))

    def end(self) -> None:
        self._pipe.close()
        with self._process:
            self._process.kill()
