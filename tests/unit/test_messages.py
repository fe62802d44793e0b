from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadParameter, Retry, WorkerLost
from pipeline.messages import (
    Failed,
    Finished,
    Job,
    Malformed,
    Progress,
    decode,
    decode_job,
    encode,
    failure,
)
from storage.records import Claim

CLAIM = Claim(batch_id=7, claim_id="c" * 32, fence=3, attempt=1)
JOB = Job(claim=CLAIM, scheduler="tcp://127.0.0.1:8786", settings={"store_url": "var/저장소"})

text = st.text(max_size=30)
messages = st.one_of(
    st.builds(Progress, st.floats(0, 1), text),
    st.builds(Finished, text),
    st.builds(Failed, text, text, st.sampled_from(Retry), st.none() | text),
)


@given(messages)
@settings(max_examples=200, deadline=None)
def test_a_message_survives_the_wire_as_one_line(message):
    line = encode(message)

    assert decode(line) == message
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


def test_a_job_survives_the_wire():
    assert decode_job(encode(JOB)) == JOB


def test_certificates_travel_but_are_not_shown():
    job = Job(claim=CLAIM, scheduler="tls://x:1", settings={}, certificates={"key": "PRIVATE"})

    assert decode_job(encode(job)) == job
    assert "PRIVATE" not in repr(job)


@pytest.mark.parametrize("embedded", [False, True])
def test_an_embedded_cluster_is_not_told_by_its_certificates(embedded):
    job = replace(JOB, certificates={"key": "PRIVATE"}, embedded=embedded)

    assert decode_job(encode(job)).embedded == embedded


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"type": "Progress"}\n',
        b'{"type": "Failed", "error_class": "x", "error_text": "y", "retry": "often"}\n',
        b'{"type": "Job"}\n',
        b"\xff\n",
    ],
)
def test_what_is_no_message_is_refused(line):
    with pytest.raises(Malformed):
        decode(line)
    with pytest.raises(Malformed):
        decode_job(line)


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return failure(caught)


def test_a_failure_has_the_sentence_and_apart_from_it_the_traceback():
    said = raised(BadParameter("testSize: 2 is too large"))

    assert said.error_text == "testSize: 2 is too large"
    assert said.traceback.startswith("Traceback (most recent call last):")
    assert (said.error_class, said.retry) == ("BadParameter", Retry.NEVER)


def test_an_error_that_is_not_ours_is_named_and_tried_later():
    said = raised(KeyError("x"))

    assert said.error_text == "KeyError: 'x'"
    assert (said.error_class, said.retry) == ("KeyError", Retry.LATER)


def test_the_type_decides_about_the_retry():
    assert raised(WorkerLost()).retry is Retry.AT_ONCE


def test_very_long_texts_keep_both_ends():
    said = raised(ValueError("가" * 200_000 + " the end"))

    assert len(encode(said)) < 500_000
    assert said.error_text.startswith("ValueError: 가")
    assert said.error_text.endswith(" the end")
    assert said.traceback.endswith(" the end\n")


def test_what_no_database_takes_is_replaced_on_the_way():
    line = encode(Failed("X", "가\udc80", Retry.NEVER, "\udfff"))

    assert line.decode("ascii")
    assert decode(line) == Failed("X", "가?", Retry.NEVER, "?")
