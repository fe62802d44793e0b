"""One running batch: its child, its heartbeat, and the verdict on it."""

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import assert_never

import structlog
from sqlalchemy import Connection, Engine

from configs.errors import ClusterUnavailable, DeepCreditError, Retry, StartFailed, WorkerLost
from configs.logs import level_of
from configs.settings import Settings, without_secrets
from launcher.service.child import Child
from launcher.service.clusters import Cluster
from launcher.service.heartbeat import Heartbeat
from launcher.service.settlement import settle
from launcher.service.verdict import (
    Abandon,
    Exit,
    Release,
    Situation,
    Stopping,
    Verdict,
    Wait,
    judge,
)
from pipeline.messages import Failed, Finished, Job, Message, Progress, failure
from storage import claims
from storage.records import Batch, State

_OF_THE_CLUSTER = (ClusterUnavailable.__name__, WorkerLost.__name__)
_LEAVE_SECONDS = 10.0  # a child that has spoken its last word may take so long to exit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `state` None: the batch was lost, and what it is now is not ours to say.

    `stale`: workers may still be at its tasks, or be what went wrong.
    """

    state: State | None
    stale: bool
    error_class: str | None = None


class Supervisor:
    """Runs one claimed batch in a child process. `run` blocks; `stop` may come from any thread."""

    def __init__(
        self,
        batch: Batch,
        *,
        engine: Engine,
        settings: Settings,
        cluster: Cluster,
        spawn: Callable[[], subprocess.Popen[bytes]],
        claimed_at: float,
        watch: Callable[[Progress], None] | None = None,
    ) -> None:
        """`spawn` starts the child; `claimed_at`: time.monotonic() before the claim was sent."""
        self.batch = batch
        self._claim = claims.claim_of(batch)
        self._engine = engine
        self._settings = settings
        self._cluster = cluster
        self._spawn = spawn
        self._watch = watch
        self._log = log.bind(
            batch_id=batch.batch_id, mode=batch.mode, attempt=batch.attempt, fence=batch.fence
        )
        self._began = time.monotonic()
        self._wake = threading.Event()
        self._begun = False
        self._last_word: Finished | Failed | None = None
        self._exit: Exit | None = None
        self._stopping = Stopping.NO
        self._hurry = threading.Event()
        self._heartbeat = Heartbeat(
            engine,
            self._claim,
            lease_seconds=settings.lease_seconds,
            claimed_at=claimed_at,
            answered=self._wake.set,
        )

    @property
    def heartbeat_age(self) -> float:
        """Seconds since the last answered heartbeat, or the claim, was sent."""
        return self._settings.lease_seconds - self._heartbeat.pulse.lease_left()

    def stop(self, how: Stopping) -> None:
        """Tell it what the launcher was told."""
        self._stopping = how
        if how is Stopping.NOW:
            self._hurry.set()
        self._wake.set()

    def run(self) -> Outcome:
        """Run the batch to its end; what the batch does raises nothing here."""
        self._log.info("batch started")
        with ExitStack() as running:
            child = self._start(running)
            verdict = self._await_verdict()
            spoken = self._last_word is not None
            if child is not None and not spoken:
                child.stop()
            if self._last_word is not None and not isinstance(verdict, Abandon):
                # It may have spoken just before the signal reached it.
                verdict = judge(self._situation())
            state = self._perform(verdict)
            if child is not None and spoken:
                child.wait(_LEAVE_SECONDS)
        self._summarise(verdict, state)
        spoilt = isinstance(verdict, Failed) and verdict.error_class in _OF_THE_CLUSTER
        error_class = verdict.error_class if isinstance(verdict, Failed | Release) else None
        return Outcome(state, stale=spoilt or not spoken, error_class=error_class)

    def _start(self, running: ExitStack) -> Child | None:
        """None: the host has no process or thread left to give, which is the batch's last word.

        What was started ends with `running`, or before this returns if a part is missing.
        """
        try:
            with ExitStack() as starting:
                starting.enter_context(self._heartbeat)
                child = Child(self._spawn(), tell=self._heard, hear=self._printed)
                starting.enter_context(child)
                threading.Thread(target=self._give_job, args=(child,), daemon=True).start()
                running.enter_context(starting.pop_all())
        except Exception as error:
            self._heard(_not_started(error))
            return None
        return child

    def _await_verdict(self) -> Verdict:
        while isinstance(verdict := judge(self._situation()), Wait):
            self._wake.wait(timeout=max(0.01, self._heartbeat.pulse.lease_left()))
            self._wake.clear()
        return verdict

    def _give_job(self, child: Child) -> None:
        """The scheduler may take seconds to start, which the child uses to import."""
        try:
            scheduler = self._cluster.scheduler()
        except Exception as error:
            self._heard(_not_started(error))
            child.dismiss()
            return
        child.give(
            Job(
                claim=self._claim,
                scheduler=scheduler.address,
                settings=without_secrets(self._settings),
                certificates=scheduler.certificates,
                embedded=scheduler.embedded,
            )
        )

    def _situation(self) -> Situation:
        pulse = self._heartbeat.pulse
        return Situation(
            begun=self._begun,
            last_word=self._last_word,
            exit=self._exit,
            lost=pulse.lost,
            cancel_requested=pulse.cancel_requested,
            lease_left=pulse.lease_left(),
            unreachable=pulse.failing,
            stopping=self._stopping,
        )

    def _heard(self, message: Message | Exit) -> None:
        if isinstance(message, Progress):
            self._begun = True
            self._heartbeat.progress(message)
            self._show(message)
            return
        if isinstance(message, Exit):
            self._exit = message
        elif self._last_word is None:
            self._last_word = message
        self._wake.set()

    def _show(self, progress: Progress) -> None:
        """Whoever watches may leave, as a pipe that is closed; the batch goes on."""
        if self._watch is None:
            return
        try:
            self._watch(progress)
        except Exception as error:
            self._watch = None
            self._log.warning("progress cannot be shown any more", error=repr(error))

    def _printed(self, line: str) -> None:
        self._log.log(level_of(line), "child says", line=line)

    def _perform(self, verdict: Verdict) -> State | None:
        claim = self._claim
        work: Callable[[Connection], bool]
        expected: tuple[State, ...]
        match verdict:  # whose fields are arguments of what ends the claim
            case Finished(summary):
                work, expected = partial(claims.finish, claim=claim, note=summary), ("C",)
            case Failed():
                work, expected = partial(claims.fail, claim=claim, **asdict(verdict)), ("E",)
            case Release():
                work = partial(claims.release, claim=claim, **asdict(verdict))
                expected = ("I", "E")
            case Abandon() | Wait():
                return None
            case _:
                assert_never(verdict)
        return settle(
            self._engine,
            claim,
            work,
            expected,
            seconds=self._settings.lease_seconds,
            hurry=self._hurry,
        )

    def _summarise(self, verdict: Verdict, state: State | None) -> None:
        """One line a batch, and before it the traceback of a failure that may pass or is a fault of
        the code. What an operator must mend is said in the line; dc_batch_attempt has all of them.
        """
        facts: dict[str, object] = {
            "outcome": state or "lost",
            "seconds": round(time.monotonic() - self._began, 3),
        }
        match verdict:
            case Finished(summary):
                facts["summary"] = summary
            case Failed(error_class, error_text, retry, traceback):
                if traceback and retry is not Retry.NEVER:
                    self._log.error("batch failed", error=error_text, exception=traceback)
                facts |= {"error_class": error_class, "error": error_text, "retry": retry.value}
            case Release(reason) | Abandon(reason):
                facts["reason"] = reason
        if state == "C":
            self._log.info("batch ended", **facts)
        else:
            self._log.warning("batch ended", **facts)


def _not_started(error: Exception) -> Failed:
    if isinstance(error, DeepCreditError):
        return failure(error)
    return failure(StartFailed(f"this host could not start a process: {error}"))
