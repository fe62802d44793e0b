"""What is done again elsewhere, and when that is given up."""

from dataclasses import dataclass, field

import structlog

from configs.errors import BadData, CardFull, HostUnfit
from pipeline import placing
from pipeline.ensembles.ranges import RangeTask
from pipeline.executor import Done, Need


@dataclass(frozen=True, kw_only=True)
class Task(placing.Task):
    settings: str = ""
    need: Need = field(default_factory=Need)
    number: int

    @property
    def label(self) -> str:
        return f"task {self.number}"


TASKS = [Task(number=number) for number in range(6)]


def unfit(host):
    error = HostUnfit(f"{host}: no space left")
    error.host = host
    return error


class Hosts:
    """Every `period`-th task comes to a host that cannot work."""

    remote, workers, hosts = True, 2, frozenset({"two", "three"})

    def __init__(self, *, period):
        self.period = period
        self.rounds = []

    def run(self, function, tasks, *, need, deadline=None):
        self.rounds.append(len(tasks))
        for n, task in enumerate(tasks, 1):
            bad = n % self.period == 0
            yield Done(task, None if bad else task.number, unfit("three") if bad else None)


class Choosy(Hosts):
    """A task goes to the first host that it does not avoid, or else to the first."""

    def __init__(self, *hosts, fit):
        self.hosts, self.fit = frozenset(hosts), fit
        self.asked = []

    def run(self, function, tasks, *, need, deadline=None):
        for task in tasks:
            avoid = need(task).avoid
            self.asked.append(set(avoid))
            host = min(self.hosts - avoid or self.hosts)
            good = host in self.fit
            yield Done(task, host if good else None, None if good else unfit(host))


class FullCard(Hosts):
    """No task finds memory on its card."""

    def run(self, function, tasks, *, need, deadline=None):
        for task in tasks:
            full = CardFull("out of memory") if need(task).gpu else None
            yield Done(task, None if full else task.note, full)


def test_a_task_whose_card_is_full_is_named_and_ends_on_the_cpu():
    task = RangeTask(
        settings="",
        votes=None,
        search=None,
        first=1,
        last=1001,
        all_counts=False,
        uri="",
        note=None,
    )
    with structlog.testing.capture_logs() as logs:
        [done] = placing.run(FullCard(period=1), None, [task], tag="")

    assert done.value == "no memory left on a card of its own: done on the CPU"
    assert [(log["event"], log["task"]) for log in logs] == [("card full", "ensembles 1 to 1000")]


def test_a_task_that_lacks_memory_on_the_cpu_too_ends_in_that_error():
    asked = []

    class Full(Hosts):
        def run(self, function, tasks, *, need, deadline=None):
            assert len(asked) < 5
            for task in tasks:
                asked.append(need(task).gpu)
                yield Done(task, None, CardFull("out of memory"))

    [done] = placing.run(Full(period=1), None, [Task(number=1, need=Need(gpu=0.25))], tag="")

    assert str(done.error) == "out of memory"
    assert asked == [0.25, 1.0, 0.0]


def test_every_round_asks_for_the_tag_and_ends_at_the_deadline():
    asked = []

    class Noting(Hosts):
        def run(self, function, tasks, *, need, deadline=None):
            asked.append(({need(task).tag for task in tasks}, deadline))
            return super().run(function, tasks, need=need)

    list(placing.run(Noting(period=2), None, TASKS, tag="large", deadline=7.0))

    assert asked == [({"large"}, 7.0)] * 3


def test_what_came_to_an_unfit_host_is_not_done_again_where_the_others_fail():
    class Failing(Hosts):
        hosts = frozenset({"three"})

        def run(self, function, tasks, *, need, deadline=None):
            for done in super().run(function, tasks, need=need):
                yield Done(done.task, None, done.error or BadData("no rows"))

    hosts = Failing(period=2)
    done = list(placing.run(hosts, None, TASKS, tag=""))

    assert [type(each.error) for each in done] == [BadData] * 3 + [HostUnfit] * 3
    assert hosts.rounds == [6]


def test_what_came_to_an_unfit_host_is_done_again_while_others_succeed():
    hosts = Hosts(period=2)
    with structlog.testing.capture_logs() as logs:
        done = list(placing.run(hosts, None, TASKS, tag=""))

    assert sorted(each.value for each in done) == list(range(6))
    assert hosts.rounds == [6, 3, 1]
    assert (logs[0]["tasks"], logs[0]["said"]) == (3, "three: no space left")


def test_a_task_goes_on_to_a_host_that_was_not_found_unfit_also_if_it_is_alone():
    hosts = Choosy("a", "b", "c", fit={"c"})

    [done] = placing.run(hosts, None, TASKS[:1], tag="")

    assert done.value == "c"
    assert hosts.asked == [set(), {"a"}, {"a", "b"}]


def test_a_task_keeps_off_hosts_that_were_unfit_for_others_too():
    """Two tasks that change places would leave no host that is new, though one can work."""
    hosts = Choosy("a", "b", "c", fit={"c"})
    first = dict(zip(TASKS[:2], "ab", strict=True))
    rest = hosts.run

    def run(function, tasks, *, need, deadline=None):
        hosts.run = rest
        return (Done(task, None, unfit(first[task])) for task in tasks)

    hosts.run = run
    done = list(placing.run(hosts, None, TASKS[:2], tag=""))

    assert [each.value for each in done] == ["c", "c"]
    assert hosts.asked == [{"a", "b"}] * 2


def test_when_every_host_was_found_unfit_that_is_said():
    hosts = Choosy("a", "b", fit={})

    [done] = placing.run(hosts, None, TASKS[:1], tag="")

    assert str(done.error) == "b: no space left"
    assert hosts.asked == [set(), {"a"}]


def test_a_host_that_is_there_but_that_a_task_cannot_use_is_not_waited_for():
    hosts = Choosy("a", "b", fit={})
    hosts.hosts |= {"c"}
    others = hosts.run

    def run(function, tasks, *, need, deadline=None):
        hosts.hosts = frozenset({"a"})
        yield from others(function, tasks, need=need)
        hosts.hosts |= {"c"}

    hosts.run = run
    [done] = placing.run(hosts, None, TASKS[:1], tag="")

    assert str(done.error) == "a: no space left"
    assert hosts.asked == [set(), {"a"}]


def test_where_no_host_can_work_that_is_said_after_one_round():
    hosts = Hosts(period=1)
    hosts.hosts = frozenset({"three"})

    done = list(placing.run(hosts, None, TASKS, tag=""))

    assert {type(each.error) for each in done} == {HostUnfit}
    assert hosts.rounds == [6]
