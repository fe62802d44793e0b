from launcher.absence import Absence
from launcher.supervisor import Outcome

AWAY = Outcome("I", stale=False, error_class="ClusterAway")
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
        pause = self.absence.left()
        self.now += pause
        return pause


def test_a_cluster_is_there_until_a_batch_could_not_begin():
    cluster = Cluster()
    cluster.absence.heed(Outcome("E", stale=True, error_class="ClusterUnavailable"))

    assert cluster.absence.left() == 0
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
    assert cluster.absence.left() == cluster.absence.left() == 0
    assert cluster.asked == 9


def test_a_cluster_that_answers_and_takes_no_batch_is_given_longer_each_time():
    cluster = Cluster()
    cluster.there = True
    for least in (1, 2, 4, 8):
        cluster.absence.heed(AWAY)
        assert least <= cluster.pause() <= 2 * least
        assert cluster.absence.left() == 0
    cluster.absence.heed(COMPLETED)
    cluster.absence.heed(AWAY)
    assert cluster.pause() <= 2
