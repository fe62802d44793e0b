"""Two hosts with addresses and caches of their own, as network namespaces, that speak TLS; one is
cut off in the middle.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from launcher.demo.applicants import ID, TARGET, write_csv
from tests.bank import ROOT, Bank, environment
from tests.ports import free_port
from tests.programs import program
from tests.sshd import QUICK_KEY_EXCHANGE, current_user, make_key, set_env
from tests.waiting import until

MODELS = """
[[model]]
model_no = 1
model_id = "ML-XGB"
model_group_id = "M"
[model.param]
n_estimators = 60
[model.param.grid]
learning_rate = [0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16]
max_depth = [3, 4, 5, 6, 7]
"""


class Network:
    """A bridge with our end at .1 and a namespace for each host, each with an sshd."""

    def __init__(self, folder, stack):
        number = os.getpid() % 100_000
        self.base = f"10.213.{os.getpid() % 250 + 1}"
        self.bridge = f"dcb{number}"
        self.port = free_port()
        self.names = [f"dcn{number}a", f"dcn{number}b"]
        self.key = make_key(folder / "user_key")
        self.host_key = make_key(folder / "host_key")
        self.folder = folder
        stack.callback(_try, "link", "del", self.bridge)
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.base}.1/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        for n, name in enumerate(self.names, 2):
            stack.callback(_try, "netns", "del", name)
            _ip("netns", "add", name)
            _ip("link", "add", self.outside(name), "type", "veth", "peer", "eth0", "netns", name)
            _ip("link", "set", self.outside(name), "master", self.bridge, "up")
            _ip("-n", name, "addr", "add", f"{self.base}.{n}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            self._sshd(stack, f"{self.base}.{n}", ["ip", "netns", "exec", name])
        self._sshd(stack, f"{self.base}.1", [])
        self.known_hosts = folder / "known_hosts"
        public = " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])
        self.known_hosts.write_text(
            "".join(f"[{self.base}.{n}]:{self.port} {public}\n" for n in (1, 2, 3))
        )

    def outside(self, name):
        return f"{name}v"

    def cut(self, name):
        _ip("link", "set", self.outside(name), "down")

    def mend(self, name):
        _ip("link", "set", self.outside(name), "up")

    def _sshd(self, stack, address, inside):
        config = self.folder / f"sshd_{address}"
        config.write_text(
            f"Port {self.port}\nListenAddress {address}\nHostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.key}.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"PermitRootLogin yes\nPasswordAuthentication no\n"
            f"SetEnv {set_env({'PYTHONPATH': str(ROOT)})}\nKexAlgorithms {QUICK_KEY_EXCHANGE}\n"
        )
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        server = subprocess.Popen(
            [*inside, str(program("sshd")), "-D", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(server.wait)
        stack.callback(server.kill)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _try(*words):
    subprocess.run(["ip", *words], check=False, capture_output=True)


@pytest.fixture
def network(tmp_path):
    if os.geteuid() or not program("ip") or not program("sshd"):
        pytest.skip("network namespaces need root, iproute2 and sshd")
    with ExitStack() as stack:
        try:
            made = Network(tmp_path, stack)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no rights to make network namespaces: {error.stderr.decode()}")
        yield made


@pytest.fixture
def bank(tmp_path, network):
    port = free_port()
    # A broken line is noticed after so long (Dask takes no less), not after half a minute.
    patience = "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP=11s\n"
    for _, name in (*HOSTS, (1, "home")):
        file = tmp_path / f"{name}.env"
        file.write_text(f"{patience}DEEPCREDIT_CACHE_DIR={tmp_path / name}\n")
        file.chmod(0o600)
    hosts = [
        f'{{address = "{network.base}.{n}", name = "{name}", env_file = "{tmp_path / name}.env"}}'
        for n, name in HOSTS
    ]
    settings = {
        "user": current_user(),
        "key_file": str(network.key),
        "known_hosts": str(network.known_hosts),
        "port": network.port,
        "python": sys.executable,
        "folder": str(tmp_path / "hosts"),
        "env_file": str(tmp_path / "home.env"),
        "certificates": str(tmp_path / "tls"),
        "scheduler_port": port,
        "dashboard_port": free_port(),
        "workers": 1,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    home = f'{{address = "{network.base}.1", name = "home", workers = 0}}'
    (tmp_path / "deepcredit.toml").write_text(
        "\n".join(["[cluster]", f"hosts = [{', '.join([home, *hosts])}]", *lines])
    )
    env = environment(tmp_path, SCHEDULER=f"tls://{network.base}.1:{port}")
    bank = Bank(tmp_path, env, lambda statement: [])
    bank.deepcredit("cluster", "certificates", "tls")
    yield bank
    for name in network.names:
        network.mend(name)
    bank.close()
    bank.deepcredit("cluster", "stop")


HOSTS = ((2, "left"), (3, "right"))


class Trained:
    """Model files of a batch, and those that were written more than once."""

    def __init__(self, bank, batch):
        self._folder = bank.folder / "store" / "models" / f"T{batch}"
        self._seen = {}

    def look(self):
        """How many there are."""
        for file in self._folder.rglob("*.ubj"):
            with suppress(FileNotFoundError):
                # A file that is replaced is another one, as is one of another execution.
                model = file.parent.name, file.name.partition(".")[0]
                self._seen.setdefault(model, set()).add(file.stat().st_ino)
        return len(self._seen)

    @property
    def twice(self):
        return [model for model, numbers in self._seen.items() if len(numbers) > 1]


@pytest.mark.slow
def test_a_host_that_is_cut_off_in_the_middle_costs_a_batch_only_what_it_ran(bank, network):
    write_csv(bank.folder / "rows.csv", 3000, 1)
    (bank.folder / "models.toml").write_text(MODELS)
    bank.deepcredit("db", "upgrade")
    load = ("dataset", "load", "rows.csv", "--group", "G", "--target", TARGET, "--id", ID)
    bank.deepcredit(*load)
    bank.deepcredit("model", "load", "models.toml")
    bank.deepcredit("cluster", "start")
    assert _workers(bank) == ["left-cpu", "right-cpu"]
    add = ("batch", "add", "--mode", "train", "--dataset", "G/1", "--model-group", "M")
    calm, cut = (bank.deepcredit(*add).split()[-1] for _ in range(2))
    trained = Trained(bank, cut)

    running = bank.launcher("SERVER_001", "--drain")
    until(lambda: trained.look() >= 15, 150)
    network.cut(network.names[1])
    at_cut = trained.look()
    until(lambda: trained.look() >= 0 and running.poll() is not None, 120)

    assert running.returncode == 0
    assert at_cut < 60
    assert trained.look() == 60
    bank.deepcredit("batch", "wait", cut)  # fails if it was not completed
    assert _workers(bank) == ["left-cpu"]
    [lost] = [event for event in _log(bank) if "worker lost" in event.get("line", "")]
    # What ran there; and what had ended there, if its answer was still on the way.
    there = re.findall(r"(?:running|results_lost)=(\d+)", lost["line"])
    assert len(trained.twice) <= sum(map(int, there))
    # One that computed, one that sent its files, one whose answer was on the way.
    assert len(trained.twice) <= 3
    assert _numbers(bank, cut) == _numbers(bank, calm)
    assert len(_numbers(bank, cut)) == 120


def _workers(bank):
    shown = json.loads(bank.deepcredit("cluster", "status", "--format", "json"))
    return [worker["worker"] for worker in shown]


def _log(bank):
    lines = (bank.folder / "logs" / "SERVER_001.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _numbers(bank, batch):
    """Every metric, and the hashes of models and scores."""
    left_out = {"batch_id", "fence", "created_at", "seconds", "uri", "scores_uri"}
    left_out |= {"fit_seconds", "predict_seconds"}
    with closing(sqlite3.connect(bank.folder / "deepcredit.db")) as connection:
        connection.row_factory = sqlite3.Row
        query = (
            "SELECT * FROM dc_model JOIN dc_batch_result USING (batch_id, model_no, model_sub_no) "
            "WHERE batch_id = ? ORDER BY model_no, model_sub_no, split"
        )
        rows = connection.execute(query, (batch,)).fetchall()
    return [[row[name] for name in row.keys() if name not in left_out] for row in rows]  # noqa: SIM118
