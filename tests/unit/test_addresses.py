"""Addresses of a host's interfaces; ports are in test_dask_commands."""

import pytest

from launcher.host import addresses

INTERFACES = """\
fe80000000000000d44c37fffe1f1b5a 07 40 20 80     eth0
fd000213000000000000000000000002 07 40 00 80     eth0
fd000213000000000000000000000003 08 40 00 80     eth1
"""


def test_an_interface_is_known_by_its_ipv4_address():
    assert addresses.of_interface("lo") == "127.0.0.1"


def test_of_ipv6_addresses_the_one_that_others_can_reach_is_taken(tmp_path, monkeypatch):
    (tmp_path / "if_inet6").write_text(INTERFACES)
    monkeypatch.setattr(addresses, "_IPV6", tmp_path / "if_inet6")

    assert addresses._ipv6("eth0") == "fd00:213::2"
    assert addresses._ipv6("eth2") == ""


def test_an_interface_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="interface none7: No such device"):
        addresses.of_interface("none7")
