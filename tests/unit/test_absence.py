import pytest

from launcher.service.absence import Absence
from launcher.service.supervisor import Outcome
from launcher.service.verdict import CANNOT_BEGIN

AWAY = Outcome("I", stale=False, error_class="ClusterAway")
UNFIT = Outcome("I", stale=True, error_class="StartFailed")
COMPLETED = Outcome("C", stale=False)


class Cluster:
    now = 0.0
    asked = 0
    there = False

    def __init__(self):
        self.absence = Absence(self.answers, clock=lambda: self.now)

    def answers(self):
        self.asked += 1
        return self.there

    def pause(self):
        """Until it is asked again."""
        pause = self.absence.pause()
        self.now += pause
        return pause


def test_a_cluster_is_there_until_a_batch_could_not_begin():
    cluster = Cluster()
    cluster.absence.heed(Outcome("E", stale=True, error_class="ClusterUnavailable"))

    assert cluster.absence.pause() == 0
    assert cluster.absence.present is None
    assert cluster.asked == 0


def test_it_is_asked_less_and_less_often_until_it_answers():
    cluster = Cluster()
    cluster.absence.heed(AWAY)
    cluster.absence.heed(AWAY)  # from another slot

    found = [cluster.pause() for _ in range(9)]
    assert cluster.asked == 8
    assert 1 <= found[0] <= 2
    assert 30 <= found[-1] <= 60
    cluster.there = True
    assert cluster.absence.pause() == cluster.absence.pause() == 0
    assert cluster.asked == 9


def test_a_cluster_that_answers_and_takes_no_batch_is_given_longer_each_time():
    cluster = Cluster()
    cluster.there = True
    for least in (1, 2, 4, 8):
        cluster.absence.heed(AWAY)
        assert least <= cluster.pause() <= 2 * least
        assert cluster.absence.pause() == 0
    cluster.absence.heed(COMPLETED)
    cluster.absence.heed(AWAY)
    assert cluster.pause() <= 2


@pytest.mark.parametrize("name", CANNOT_BEGIN)
def test_whatever_keeps_a_batch_from_beginning_stops_claims_and_says_what_to_do(name):
    cluster = Cluster()
    cluster.absence.heed(Outcome("I", stale=False, error_class=name))

    assert cluster.absence.present == CANNOT_BEGIN[name].what
    assert cluster.pause() > 0
    assert cluster.absence.why == CANNOT_BEGIN[name].why
    cluster.there = True
    assert cluster.absence.pause() == 0
    assert cluster.absence.present is None


def test_a_host_that_starts_no_process_is_tried_after_longer_and_longer_pauses():
    host = Cluster()
    for least in (1, 2, 4, 8):
        host.absence.heed(UNFIT)
        assert least <= host.pause() <= 2 * least
        assert host.absence.pause() == 0
    assert host.asked == 0
