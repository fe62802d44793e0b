import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DatabaseRefused, LoginRefused, Retry
from launcher.service.verdict import (
    Abandon,
    Exit,
    Release,
    Situation,
    Stopping,
    Wait,
    judge,
)
from pipeline.messages import Failed, Finished, failure

FAILED = Failed("BadData", "no rows", Retry.NEVER, "Traceback ...")


def verdict(**facts):
    return judge(Situation(**{"lease_left": 60.0} | facts))


def test_a_child_that_runs_is_waited_for():
    assert verdict() == Wait()
    assert verdict(stopping=Stopping.DRAINING) == Wait()


def test_its_word_decides():
    assert verdict(last_word=Finished("40 models")) == Finished("40 models")
    assert verdict(last_word=FAILED) == FAILED


def test_finished_work_is_offered_even_after_a_cancel_a_stop_or_the_lease():
    facts = {"cancel_requested": True, "stopping": Stopping.NOW, "lease_left": -1.0}

    assert verdict(last_word=Finished("x"), **facts) == Finished("x")


def test_a_lost_batch_is_abandoned_whatever_the_child_says():
    assert isinstance(verdict(lost=True, last_word=Finished("x")), Abandon)
    assert isinstance(verdict(lost=True, exit=Exit(code=1)), Abandon)


def test_a_refused_write_of_the_child_means_lost():
    refused = Failed("LeaseLost", "", Retry.LATER)

    assert isinstance(verdict(last_word=refused), Abandon)


def test_a_batch_that_could_not_begin_is_given_back_unless_it_was_cancelled():
    away = Failed("ClusterAway", "no scheduler", Retry.LATER, "Traceback ...")

    assert verdict(last_word=away) == Release("no scheduler", "ClusterAway")
    assert isinstance(verdict(last_word=away, cancel_requested=True), Failed)


def test_a_refused_login_is_no_attempt_before_the_batch_has_begun_and_never_final():
    refused = failure(LoginRefused("wrong password"))

    assert verdict(last_word=refused) == Release("wrong password", "LoginRefused", 10)
    assert verdict(last_word=refused, begun=True).retry is Retry.LATER
    assert verdict(last_word=failure(DatabaseRefused())).retry is Retry.NEVER


def test_a_child_that_ends_before_it_has_begun_is_no_attempt_unless_a_signal_killed_it():
    assert verdict(exit=Exit(code=1)).error_class == "StartFailed"
    assert isinstance(verdict(exit=Exit(code=1)), Release)
    assert isinstance(verdict(exit=Exit(code=0)), Release)
    assert isinstance(verdict(exit=Exit(code=1), begun=True), Failed)
    assert isinstance(verdict(exit=Exit(code=-9)), Failed)


def test_a_running_child_does_not_outlive_its_lease():
    for said in (verdict(lease_left=0.0), verdict(lease_left=-5.0, stopping=Stopping.NOW)):
        assert (said.error_class, said.retry) == ("LeaseExpired", Retry.AT_ONCE)
    cancelled = verdict(lease_left=0.0, cancel_requested=True)
    assert (cancelled.error_class, cancelled.retry) == ("Cancelled", Retry.NEVER)


def test_an_attempt_that_the_database_cut_off_is_given_back():
    cut_off = verdict(lease_left=0.0, unreachable=True)

    assert isinstance(cut_off, Release)
    assert "before the database let us renew it" in cut_off.reason
    assert verdict(lease_left=1.0, unreachable=True) == Wait()
    assert verdict(lease_left=0.0, unreachable=True, last_word=Finished("x")) == Finished("x")


def test_a_cancel_is_final():
    asked = verdict(cancel_requested=True)

    assert asked == Failed("Cancelled", "cancelled by an operator", Retry.NEVER)
    assert verdict(cancel_requested=True, last_word=FAILED) == asked
    assert verdict(cancel_requested=True, exit=Exit(code=-15)) == asked
    assert verdict(cancel_requested=True, stopping=Stopping.NOW) == asked


def test_a_stopping_launcher_gives_back():
    assert verdict(stopping=Stopping.NOW) == Release()
    assert verdict(stopping=Stopping.NOW, exit=Exit(code=-9)) == Release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_child_stopped_together_with_its_launcher_costs_no_attempt(number):
    assert verdict(stopping=Stopping.DRAINING, exit=Exit(code=-number)) == Release()
    assert verdict(exit=Exit(code=-number)).error_class == "ChildLost"


def test_a_death_without_a_word_is_retried_at_once_and_described():
    dead = verdict(exit=Exit(code=-9, stderr_tail="loading 메모리"))

    assert (dead.error_class, dead.retry) == ("ChildLost", Retry.AT_ONCE)
    assert "SIGKILL" in dead.error_text
    assert "out of memory" in dead.error_text
    assert "\n" not in dead.error_text
    assert "loading 메모리" in dead.traceback


def test_an_exit_code_is_named_and_gives_no_hint_of_memory():
    text = verdict(exit=Exit(code=7), begun=True).error_text

    assert "exit code 7" in text
    assert "memory" not in text


def test_exit_zero_without_a_word_is_a_loss_too():
    assert verdict(exit=Exit(code=0), begun=True).error_class == "ChildLost"


def test_real_time_signals_have_no_name_and_break_nothing():
    assert "signal 99" in verdict(exit=Exit(code=-99)).error_text


situations = st.builds(
    Situation,
    last_word=st.sampled_from([None, FAILED, Finished("x"), Failed("LeaseLost", "", Retry.LATER)]),
    begun=st.booleans(),
    exit=st.sampled_from([None, Exit(code=0), Exit(code=-9), Exit(code=-15)]),
    lost=st.booleans(),
    cancel_requested=st.booleans(),
    lease_left=st.sampled_from([-1.0, 0.0, 1.0]),
    unreachable=st.booleans(),
    stopping=st.sampled_from(Stopping),
)


@given(situations)
@settings(max_examples=300, deadline=None)
def test_the_rules_that_must_hold_in_every_situation(now):
    said = judge(now)

    if now.lost:
        assert isinstance(said, Abandon)
    if now.exit is not None:
        assert said != Wait()
    if isinstance(said, Finished):
        assert said is now.last_word
    if now.lease_left <= 0 and now.last_word is None:
        assert said != Wait()
        assert now.unreachable or isinstance(said, Failed | Abandon)
    if now.cancel_requested:
        assert not isinstance(said, Release)
        assert not isinstance(said, Failed) or said.retry is Retry.NEVER
    if isinstance(said, Release):
        assert now.stopping is not Stopping.NO or now.lease_left <= 0 or not now.begun
