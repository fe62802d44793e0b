"""Names of workers: made and read again."""

import pytest

from launcher.cluster.names import has_card, host_of, worker_names


@pytest.mark.parametrize("host", ["one", "10.0.0.1", "a-cpu", "a-cpu-cpu1", "gpu0", "b-0"])
@pytest.mark.parametrize("process", ["cpu", "cpu12", "gpu0", "gpu13"])
def test_a_name_tells_host_and_card(host, process):
    workers = 1 if process.startswith("gpu") else 11

    for count in (1, workers):
        names = worker_names(host, process, count)
        assert len(names) == len(set(names)) == count
        assert {host_of(name) for name in names} == {host}
        assert {has_card(name) for name in names} == {process.startswith("gpu")}


@pytest.mark.parametrize("name", ["tcp://10.0.0.1:4000", "one", "one-cpux", "-cpu", "one-gpu", "7"])
def test_what_others_name_is_no_name_of_ours(name):
    assert host_of(name) is None
    assert not has_card(name)
