"""What is done again elsewhere, and when that is given up."""

from dataclasses import dataclass, field

import structlog

from configs.errors import HostUnfit
from pipeline import placing
from pipeline.executor import Done, Need


@dataclass(frozen=True)
class Task:
    number: int
    need: Need = field(default_factory=Need)
    note: str | None = None


TASKS = [Task(number) for number in range(6)]


class Hosts:
    """Every `period`-th task comes to a host that cannot work."""

    remote, workers = True, 2

    def __init__(self, period):
        self.period = period
        self.rounds = []

    def run(self, function, tasks, *, need, deadline=None):
        self.rounds.append(len(tasks))
        for n, task in enumerate(tasks, 1):
            unfit = n % self.period == 0
            error = HostUnfit("three: no space left") if unfit else None
            yield Done(task, None if unfit else task.number, error)


def test_what_came_to_an_unfit_host_is_done_again_while_others_succeed():
    hosts = Hosts(period=2)
    with structlog.testing.capture_logs() as logs:
        done = list(placing.run(hosts, None, TASKS))

    assert sorted(each.value for each in done) == list(range(6))
    assert hosts.rounds == [6, 3, 1]
    assert (logs[0]["tasks"], logs[0]["said"]) == (3, "three: no space left")


def test_where_no_host_can_work_that_is_said_after_one_round():
    hosts = Hosts(period=1)

    done = list(placing.run(hosts, None, TASKS))

    assert {type(each.error) for each in done} == {HostUnfit}
    assert hosts.rounds == [6]
