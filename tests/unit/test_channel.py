import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.messages import Finished, Job, Progress, decode, encode
from storage.records import Claim

ROOT = str(Path(__file__).parents[2])
CLAIM = Claim(batch_id=7, claim_id="c" * 32, fence=3, attempt=1)
JOB = Job(claim=CLAIM, scheduler="tcp://127.0.0.1:8786", settings={"store_url": "var/저장소"})

CHILD = """
import os, sys, threading
from launcher.host.channel import open_channel
from pipeline.messages import Progress, Finished
job, send = open_channel()
print("a library prints to stdout")
os.write(1, b"and native code too\\n")
assert sys.stdin.read() == ""
send(Progress(0.5, job.settings["store_url"]))
threads = [threading.Thread(target=send, args=(Progress(0.5, "x" * 3000),)) for _ in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
send(Finished(str(job.claim.fence)))
threading.Event().wait()
"""


@pytest.fixture
def child():
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    with process:
        yield process
        process.kill()


def test_prints_cannot_corrupt_the_channel_and_eof_on_stdin_ends_the_child(child):
    child.stdin.write(encode(JOB))
    child.stdin.flush()

    said = [decode(child.stdout.readline()) for _ in range(22)]
    child.stdin.close()

    assert said[0] == Progress(0.5, "var/저장소")
    assert said[1:21] == [Progress(0.5, "x" * 3000)] * 20
    assert said[21] == Finished("3")
    assert child.wait(timeout=5) == 3
    assert child.stderr.read() == b"a library prints to stdout\nand native code too\n"


def test_a_child_without_a_job_says_so(child):
    child.stdin.close()

    assert child.wait(timeout=20) == 1
    assert b"a launcher starts this process" in child.stderr.read()
