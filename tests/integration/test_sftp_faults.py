"""What may go wrong between us and an SFTP server: real servers, connections really broken."""

import dataclasses
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from pydantic import SecretStr

from configs.errors import ArtifactDamaged, BadSetting, StoreRefused, StoreUnavailable
from configs.settings import load
from storage.artifacts import sftp_connect
from storage.artifacts.opening import open_store
from storage.artifacts.outgoing import Outgoing
from storage.artifacts.port import Store
from storage.artifacts.sftp import SftpStore
from storage.artifacts.sftp_connect import Login, connect
from tests.password_server import running_password_server
from tests.ports import free_port
from tests.proxy import Proxy, proxied
from tests.sshd import SshServer, drop_connections, make_key, running_sshd, trust
from tests.waiting import until

SECRET = "Geheim-비밀!"
CONTENT = os.urandom(2_000_000)
SHA256 = sha256(CONTENT).hexdigest()

Opener = Callable[..., Store]


@pytest.fixture
def opened(tmp_path) -> Iterator[Opener]:
    """Opens stores that are closed at the end; a quarter of a second of patience, if not told."""
    with ExitStack() as stack:

        def make(server: SshServer, **overrides: Any) -> Store:
            patience = {"store_patience_seconds": 0.25}
            values = patience | server.settings(tmp_path.name) | overrides
            store = open_store(load(values, environ={}, file=Path("none")))
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def source(tmp_path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(CONTENT)
    return file


def through(server: SshServer, proxy: Proxy, folder: Path) -> SshServer:
    known_hosts = trust(folder / "known_hosts_of_proxy", proxy.port, server.host_key)
    return dataclasses.replace(server, port=proxy.port, known_hosts=known_hosts)


def impatient(server: SshServer, **options: Any) -> Login:
    """Takes a connection for lost that is silent for a third of a second."""
    usual = {"host": server.host, "port": server.port, "user": server.user}
    usual |= {"known_hosts": server.known_hosts, "key_file": server.key_file}
    return Login(**usual | {"silence_seconds": 0.3} | options)


# Who is there.


def test_a_server_that_is_not_in_known_hosts_is_refused(sshd_server, opened, tmp_path, source):
    known_hosts = tmp_path / "known_hosts"
    server = dataclasses.replace(sshd_server, known_hosts=known_hosts)

    elsewhere = sshd_server.known_hosts.read_text().replace("127.0.0.1", "127.0.0.2")
    for content in (None, "", elsewhere):
        if content is not None:
            known_hosts.write_text(content)
        with pytest.raises(StoreRefused, match=rf"ssh-keyscan -p {server.port} 127.*SHA256:"):
            opened(server).put("models/1.ubj", source)

    assert not (sshd_server.root / tmp_path.name).exists()


def test_a_known_hosts_file_that_cannot_be_read_is_named(sshd_server, opened, tmp_path):
    broken = tmp_path / "known_hosts"
    broken.write_text("[127.0.0.1]:22 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n")

    with pytest.raises(BadSetting, match=f"sftp_known_hosts: {broken}"):
        opened(dataclasses.replace(sshd_server, known_hosts=broken)).check()


def test_a_changed_host_key_is_refused(sshd_server, opened, tmp_path, source):
    make_key(tmp_path / "other")
    known_hosts = trust(tmp_path / "known_hosts", sshd_server.port, tmp_path / "other.pub")
    server = dataclasses.replace(sshd_server, known_hosts=known_hosts)

    with pytest.raises(StoreRefused, match=r"has changed.*SHA256:.*SHA256:"):
        opened(server).put("models/1.ubj", source)


def test_a_host_key_that_is_swapped_behind_an_open_store_is_refused(opened, tmp_path, source):
    folder = tmp_path / "sshd"
    with running_sshd(folder) as first:
        store = opened(first)
        store.put("models/1.ubj", source)
        known = first.known_hosts.read_text()
    (folder / "host_key").unlink()
    (folder / "host_key.pub").unlink()

    with running_sshd(folder, port=first.port):
        first.known_hosts.write_text(known)
        with pytest.raises(StoreRefused, match="has changed"):
            store.put("models/2.ubj", source)

    assert not (first.root / tmp_path.name / "models/2.ubj").exists()


# Who we are.


def test_a_wrong_key_is_refused(sshd_server, opened, tmp_path):
    server = dataclasses.replace(sshd_server, key_file=make_key(tmp_path / "stranger"))

    with pytest.raises(StoreRefused, match=r"refuses this user's key .*stranger"):
        opened(server).check()


def test_a_wrong_password_is_refused_and_never_told(sshd_server, opened, capfd):
    store = opened(sshd_server, sftp_key_file=None, sftp_password=SECRET)

    with structlog.testing.capture_logs() as logs, pytest.raises(StoreRefused) as caught:
        store.check()

    chain = repr(caught.value) + str(caught.getrepr(style="long")) + repr(store) + str(logs)
    assert "password" in str(caught.value)
    assert SECRET not in chain + "".join(capfd.readouterr())


def test_a_right_password_is_taken_where_keys_are_not(opened, tmp_path, source):
    with running_password_server(tmp_path / "server", SECRET) as server:
        store = opened(server, sftp_key_file=None, sftp_password=SECRET)
        stored = store.put("models/1.ubj", source)
        store.get(stored.uri, stored.sha256, tmp_path / "back")

        with pytest.raises(StoreRefused, match="password"):
            opened(server, sftp_key_file=None, sftp_password=f"{SECRET} ").check()

    assert (tmp_path / "back").read_bytes() == CONTENT


def test_an_encrypted_key_needs_its_passphrase(sshd_server, opened, tmp_path):
    key = make_key(tmp_path / "encrypted", SECRET)
    with running_sshd(tmp_path / "sshd") as server:
        shutil.copy(tmp_path / "encrypted.pub", tmp_path / "sshd" / "authorized_keys")

        opened(server, sftp_key_file=key, sftp_key_passphrase=SECRET).check()
        for overrides in ({}, {"sftp_key_passphrase": "wrong"}):
            with pytest.raises(BadSetting, match="DEEPCREDIT_SFTP_KEY_PASSPHRASE") as caught:
                opened(server, sftp_key_file=key, **overrides).check()
            assert "wrong" not in repr(caught.value).replace("missing or wrong", "")


def test_a_key_file_that_cannot_be_read_is_named(sshd_server, opened, tmp_path):
    with pytest.raises(BadSetting, match=r"sftp_key_file: cannot read .*nowhere"):
        opened(sshd_server, sftp_key_file=tmp_path / "nowhere").check()


def test_a_server_that_lets_us_only_read_refuses(opened, tmp_path, source):
    with running_sshd(tmp_path / "sshd", options={"Subsystem": "sftp internal-sftp -R"}) as server:
        place(server, tmp_path)
        store = opened(server)
        with pytest.raises(StoreRefused, match=r"models/1\.ubj.*may only read"):
            store.put("models/1.ubj", source)
        with pytest.raises(StoreRefused, match="Permission denied"):
            store.delete("models/1.ubj")

        store.get("models/1.ubj", SHA256, tmp_path / "back")


@pytest.mark.parametrize(
    "options", [{"Subsystem": "other /bin/true"}, {"Subsystem": "sftp /bin/false"}]
)
def test_a_server_that_lets_us_in_and_gives_no_sftp_says_what_it_lacks(opened, tmp_path, options):
    said = "let us in and gave us no SFTP .* `Subsystem sftp internal-sftp`"
    with (
        running_sshd(tmp_path / "sshd", options=options) as server,
        pytest.raises(StoreUnavailable, match=said),
    ):
        opened(server).check()


# What breaks.


def test_nobody_at_the_port_is_told_after_some_patience(sshd_server, opened, tmp_path):
    port = free_port()
    known_hosts = trust(tmp_path / "known_hosts", port, sshd_server.host_key)
    store = opened(dataclasses.replace(sshd_server, port=port, known_hosts=known_hosts))
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match=r"cannot connect: Connection refused \(tries: \d"):
        list(store.walk())

    assert time.monotonic() - began < 5


def test_somebody_else_at_the_port_is_told(sshd_server, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(sftp_connect, "_CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        known_hosts = trust(tmp_path / "known_hosts", port, sshd_server.host_key)
        store = opened(dataclasses.replace(sshd_server, port=port, known_hosts=known_hosts))

        with pytest.raises(StoreUnavailable, match=r"no SSH server has answered there in 1 s"):
            store.check()


def test_a_port_that_resets_every_connection_is_told(sshd_server, opened, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def reset() -> None:
            with suppress(OSError):  # of the test's end
                while True:
                    client, _ = rude.accept()
                    client.recv(1)  # so that the reader meets the reset, not the connection
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()

        resetting = threading.Thread(target=reset)
        resetting.start()
        port = rude.getsockname()[1]
        known_hosts = trust(tmp_path / "known_hosts", port, sshd_server.host_key)
        store = opened(dataclasses.replace(sshd_server, port=port, known_hosts=known_hosts))

        with pytest.raises(StoreUnavailable, match=r"banner: \[Errno 104\] Connection reset"):
            list(store.walk())

        rude.shutdown(socket.SHUT_RDWR)
        resetting.join()


def test_a_link_that_leads_nowhere_is_told_by_its_folder(sshd_server, opened, tmp_path, source):
    (sshd_server.root / tmp_path.name).symlink_to("/nowhere")

    with pytest.raises(StoreUnavailable, match=rf"no folder can be made in {sshd_server.root}"):
        opened(sshd_server).put("models/1.ubj", source)


def test_a_delete_is_not_made_up_for_when_the_server_comes_back(opened, tmp_path, source):
    """What nobody needed when it was asked for may be needed by then."""
    folder = tmp_path / "sshd"
    with running_sshd(folder) as server:
        store = opened(server, store_patience_seconds=60)
        store.put("splits/1", source)
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match=r"splits/1: .*\(tries: 1\)"):
        store.delete("splits/1")

    assert time.monotonic() - began < 5
    with running_sshd(folder, port=server.port) as again:
        assert list(opened(again).walk()) == ["splits/1"]


def test_check_does_not_wait_for_a_server_that_is_away(sshd_server, opened, tmp_path):
    server = dataclasses.replace(sshd_server, port=free_port())
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match="refused"):
        opened(server, store_patience_seconds=60).check()

    assert time.monotonic() - began < 5


def test_work_goes_on_when_a_server_comes_back(opened, tmp_path, source):
    folder = tmp_path / "sshd"
    with running_sshd(folder) as server:
        store = opened(server, store_patience_seconds=30)
        store.put("models/1.ubj", source)
    with ThreadPoolExecutor(1) as pool, structlog.testing.capture_logs() as logs:
        waiting = pool.submit(store.get, "models/1.ubj", SHA256, tmp_path / "back")
        until(lambda: bool(logs))
        with running_sshd(folder, port=server.port):
            waiting.result(timeout=30)

    assert (tmp_path / "back").read_bytes() == CONTENT
    assert logs[0]["event"] == "store connection lost; trying again"
    assert "models/1.ubj" in logs[0]["operation"]


def test_killed_idle_connections_are_replaced(sshd_server, opened, tmp_path, source):
    store = opened(sshd_server)
    store.put("models/1.ubj", source)
    assert drop_connections(sshd_server) > 0

    store.get("models/1.ubj", SHA256, tmp_path / "back")


def test_a_get_goes_on_where_it_broke(sshd_server, opened, tmp_path):
    # No connection may carry the whole file, so only one that goes on can ever end.
    place(sshd_server, tmp_path)
    with proxied(sshd_server.port, [600_000] * 100) as proxy:
        store = opened(through(sshd_server, proxy, tmp_path), store_patience_seconds=20)
        store.get("models/1.ubj", SHA256, tmp_path / "back")

        assert (tmp_path / "back").read_bytes() == CONTENT
        assert 4 <= proxy.connections < 50


def test_a_put_that_is_cut_twice_completes_and_leaves_one_file(
    sshd_server, opened, tmp_path, source
):
    with proxied(sshd_server.port, [700_000, 1_200_000]) as proxy:
        store = opened(through(sshd_server, proxy, tmp_path), store_patience_seconds=20)
        stored = store.put("models/1.ubj", source)

        assert proxy.connections == 3

    assert (sshd_server.root / tmp_path.name / "models/1.ubj").read_bytes() == CONTENT
    assert stored.sha256 == SHA256
    assert list(opened(sshd_server).walk()) == ["models/1.ubj"]


def test_a_put_goes_on_where_it_broke(sshd_server, opened, tmp_path, source):
    # No connection may carry the whole file, so only one that goes on can ever end. Each may carry
    # more than what is on its way unanswered.
    source.write_bytes(5 * CONTENT)
    with proxied(sshd_server.port, [3_500_000] * 100) as proxy:
        store = opened(through(sshd_server, proxy, tmp_path), store_patience_seconds=20)
        stored = store.put("models/1.ubj", source)

        assert 3 <= proxy.connections < 15

    assert (sshd_server.root / tmp_path.name / "models/1.ubj").read_bytes() == 5 * CONTENT
    assert stored.sha256 == sha256(5 * CONTENT).hexdigest()
    assert list(opened(sshd_server).walk()) == ["models/1.ubj"]


def test_a_put_whose_part_was_lost_meanwhile_starts_anew(sshd_server, opened, tmp_path, source):
    folder = sshd_server.root / tmp_path.name

    def lose() -> None:
        for file in folder.rglob("*.tmp"):
            file.unlink()

    with proxied(sshd_server.port, [1_200_000, None], on_cut=lose) as proxy:
        store = opened(through(sshd_server, proxy, tmp_path), store_patience_seconds=20)
        stored = store.put("models/1.ubj", source)

    assert (folder / "models/1.ubj").read_bytes() == CONTENT
    assert stored.sha256 == SHA256


def test_a_connection_that_falls_silent_is_replaced(sshd_server, tmp_path):
    place(sshd_server, tmp_path)
    with proxied(sshd_server.port, [700_000], silent=True) as proxy:
        login = impatient(through(sshd_server, proxy, tmp_path))
        store = SftpStore(login, str(sshd_server.root / tmp_path.name))
        store.get("models/1.ubj", SHA256, tmp_path / "back")
        store.close()

        assert proxy.connections == 2

    assert (tmp_path / "back").read_bytes() == CONTENT


def test_a_server_that_stops_reading_is_not_written_to_without_end(
    sshd_server, tmp_path, source, monkeypatch
):
    connected = socket.create_connection

    def narrow(*args: Any, **options: Any) -> socket.socket:
        """As on a network: buffers of a host's way to itself take more than a server asks for."""
        made = connected(*args, **options)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        return made

    with proxied(sshd_server.port, [700_000], silent=True) as proxy:
        login = impatient(through(sshd_server, proxy, tmp_path), silence_seconds=1)
        monkeypatch.setattr("storage.artifacts.sftp_connect.socket.create_connection", narrow)
        store = SftpStore(login, str(sshd_server.root / tmp_path.name))
        stored = store.put("models/1.ubj", source)
        store.close()

        assert proxy.connections == 2

    assert stored.sha256 == SHA256
    assert (sshd_server.root / tmp_path.name / "models/1.ubj").read_bytes() == CONTENT


def test_what_a_frozen_server_does_late_harms_no_put(sshd_server, tmp_path, source, monkeypatch):
    """It was asked to begin a file, and does so when another connection has written half of it."""
    folder = sshd_server.root / tmp_path.name
    store = SftpStore(impatient(sshd_server), str(folder))
    store.put("models/0.ubj", source)
    frozen = psutil.Process(sshd_server.pid).children(recursive=True)
    for process in frozen:
        process.suspend()
    read = Outgoing.chunks

    def thaw_at_half(outgoing: Outgoing, length: int) -> Iterator[bytes]:
        for number, chunk in enumerate(read(outgoing, length)):
            if number == len(CONTENT) // length // 2:
                until(lambda: any(file.stat().st_size for file in folder.rglob("*.tmp")))
                for process in frozen:
                    process.resume()
                psutil.wait_procs(frozen, timeout=10)
            yield chunk

    monkeypatch.setattr(Outgoing, "chunks", thaw_at_half)
    stored = store.put("models/1.ubj", source)
    store.close()

    assert frozen
    assert stored.sha256 == SHA256
    assert (folder / "models/1.ubj").read_bytes() == CONTENT
    assert sorted(file.name for file in folder.rglob("*.*")) == ["0.ubj", "1.ubj"]


def test_a_server_that_falls_silent_before_it_gives_sftp_is_not_waited_for(tmp_path):
    speaking = threading.Event()
    with running_password_server(tmp_path / "server", SECRET, speaking=speaking) as server:
        try:
            with pytest.raises(StoreUnavailable, match="no answer to the request for SFTP"):
                connect(impatient(server, key_file=None, password=SecretStr(SECRET)))
        finally:
            speaking.set()


@pytest.mark.parametrize("new_is_right", [True, False])
def test_parts_of_two_files_are_never_taken_for_one(sshd_server, opened, tmp_path, new_is_right):
    file = place(sshd_server, tmp_path)
    new = os.urandom(len(CONTENT))

    def replace() -> None:
        file.with_suffix(".new").write_bytes(new)
        file.with_suffix(".new").replace(file)

    wanted = sha256(new).hexdigest() if new_is_right else SHA256
    with proxied(sshd_server.port, [700_000], on_cut=replace) as proxy:
        store = opened(through(sshd_server, proxy, tmp_path))
        if new_is_right:
            store.get("models/1.ubj", wanted, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == new
        else:
            with pytest.raises(ArtifactDamaged):
                store.get("models/1.ubj", wanted, tmp_path / "back")
            assert not (tmp_path / "back").exists()


def test_a_write_that_the_server_could_not_make_is_noticed(opened, tmp_path, source):
    # The process that serves us may write files of at most 100 blocks, as under a quota.
    limited = tmp_path / "limited"
    limited.write_text(
        "#!/bin/sh\ntrap '' XFSZ\nulimit -f 100\n"
        "for d in /usr/lib/openssh /usr/libexec/openssh /usr/libexec /usr/lib/ssh; do\n"
        '  [ -x "$d/sftp-server" ] && exec "$d/sftp-server"\ndone\n'
    )
    limited.chmod(0o755)
    with running_sshd(tmp_path / "sshd", options={"Subsystem": f"sftp {limited}"}) as server:
        store = opened(server)
        with pytest.raises(StoreUnavailable, match="quota"):
            store.put("models/1.ubj", source)
        source.write_bytes(b"small")
        store.put("models/2.ubj", source)

        assert list(store.walk()) == ["models/2.ubj"]


def test_connections_are_few_however_many_threads(opened, tmp_path, source):
    source.write_bytes(b"small")
    with running_sshd(tmp_path / "sshd") as server:
        until(lambda: not psutil.Process(server.pid).children())  # who looked whether it is up
        store = opened(server, sftp_connections=2)
        most = 0
        done = threading.Event()

        def count() -> None:
            nonlocal most
            while not done.is_set():
                most = max(most, len(psutil.Process(server.pid).children()))
                time.sleep(0.001)

        with ThreadPoolExecutor(9) as pool:
            counting = pool.submit(count)
            puts = [pool.submit(store.put, f"models/{number}", source) for number in range(60)]
            for put in puts:
                put.result()
            done.set()
            counting.result()

        assert most == 2
        store.close()
        until(lambda: not psutil.Process(server.pid).children())


def place(server: SshServer, tmp_path: Path) -> Path:
    """CONTENT as models/1.ubj, put there behind the store's back."""
    file = server.root / tmp_path.name / "models/1.ubj"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    return file
