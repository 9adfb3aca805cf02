"""What replies say, in every shape in which they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger.rows import write_json
from tasks.runware.messages import Reply, money, parse_reply, read_reply

DONE = {
    "taskType": "videoInference",
    "taskUUID": "one",
    "status": "success",
    "videoUUID": "v",
    "videoURL": "https://cdn.test/v.mp4",
}


def read(body: Any, status: int = 200) -> Reply:
    return parse_reply(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"data": [DONE]},
        {"data": [DONE], "errors": []},
        {"data": [DONE], "errors": None},
        {"data": DONE},
        {"data": [DONE, None, 7]},
        {"data": [{**DONE, "status": "SUCCESS"}]},
        {"data": [{name: value for name, value in DONE.items() if name != "status"}]},
        {"data": [DONE], "errors": [{"taskUUID": "two", "code": "inferenceError"}]},
    ],
)
def test_a_result_is_found_whatever_stands_beside_it(body: Any) -> None:
    (result,) = read(body).results_of("one")
    assert (result.video_uuid, result.video_url) == ("v", "https://cdn.test/v.mp4")
    assert read(body).results_of("two") == []


def test_a_video_that_was_only_put_somewhere_is_a_result_without_an_address() -> None:
    item = {name: value for name, value in DONE.items() if name != "videoURL"}
    (result,) = read({"data": [{**item, "uploadEndpoint": "https://s3/x?X-Amz-Signature=abc"}]}).results_of("one")
    assert (result.video_uuid, result.video_url) == ("v", "")
    # Where it was put is a secret of whoever asked.
    assert "uploadEndpoint" not in result.as_json()
    assert read({"data": [{**item, "status": "processing"}]}).results_of("one") == []


@pytest.mark.parametrize(
    "item",
    [{"status": "processing"}, {"status": "queued"}, {"status": "newWord"}, {}, {"videoURL": ""}, {"videoURL": 7}],
)
def test_a_task_that_is_spoken_of_is_known_whatever_its_status_is_called(item: dict[str, Any]) -> None:
    reply = read({"data": [{"taskUUID": "one", **item}]})
    assert reply.is_known("one")
    assert not reply.is_known("two")
    assert reply.results_of("one") == []


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"code": "x", "taskUUID": "one"}]},
        {"data": [], "errors": [{"code": "x", "taskUUID": "one"}]},
        {"error": {"code": "x", "taskUUID": "one"}},
        {"error": [{"code": "x", "taskUUID": "one"}]},
        {"errors": [{"code": "x", "context": {"taskUUID": "one"}}]},
        {"data": [{"taskUUID": "one", "status": "error", "error": {"code": "x"}}]},
        {"errors": [{"code": "other", "taskUUID": "two"}, {"code": "x", "taskUUID": "one"}]},
    ],
)
def test_an_error_is_found_wherever_it_stands(body: Any) -> None:
    reply = read(body)
    error = reply.error_of("one")
    assert error is not None
    assert error["code"] == "x"
    assert not reply.is_known("one")
    assert reply.error_of("three", alone=True) is None


def test_an_error_that_names_no_task_belongs_to_a_task_asked_about_alone() -> None:
    reply = read({"errors": [{"code": "nameless"}, {"code": "named", "taskUUID": "one"}]})
    assert reply.error_of("two") is None
    assert (reply.error_of("two", alone=True) or {})["code"] == "nameless"
    assert (reply.error_of("one", alone=True) or {})["code"] == "named"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b"null", b"{}", b'{"errors": []}', b"\xff", b'{"data"'])
def test_what_is_no_reply_is_not_readable(body: bytes) -> None:
    reply = parse_reply(200, body)
    assert not reply.readable
    assert (reply.data, reply.errors) == ((), ())


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["data", "errors", "error", "status", "taskUUID"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    reply = parse_reply(200, body, "soon")
    reply.results_of("one")
    reply.error_of("one", alone=True)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"cut in half \ud83d"', "cut in half ?"),
        (r'"whole \ud83d\ude00"', "whole \U0001f600"),
        (r'"\u0000"', "?"),
        (r'{"\udead": "x"}', {"?": "x"}),
        ("[NaN, -Infinity, Infinity, 1.5]", [None, None, None, Decimal("1.5")]),
    ],
)
def test_what_is_read_can_be_written_into_any_ledger(written: str, read: Any) -> None:
    body = f'{{"data": [{{"taskUUID": "one", "videoURL": "https://cdn.test/v.mp4", "more": {written}}}]}}'
    (result,) = parse_reply(200, body.encode()).results_of("one")
    assert result.raw["more"] == read
    write_json(result.as_json()).encode()


def test_a_body_that_is_too_deep_is_not_readable() -> None:
    assert not parse_reply(200, b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}").readable


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.42", "0.42"),
        ("0.7560000000000001", "0.7560000000000001"),
        ("1", "1"),
        ('"0.42"', "0.42"),
        ("0", "0"),
        ("-1", None),
        ("true", None),
        ("null", None),
        ('"free"', None),
        ('"NaN"', None),
        ("NaN", None),
        ("1e30", None),
        ("[]", None),
    ],
)
def test_money_never_passes_through_a_float(text: str, amount: str | None) -> None:
    body = f'{{"data": [{{"taskUUID": "one", "videoURL": "https://cdn.test/v.mp4", "cost": {text}}}]}}'
    (result,) = parse_reply(200, body.encode()).results_of("one")
    assert result.cost_usd == (None if amount is None else Decimal(amount))
    assert result.video_uuid == "v"
    if amount is not None:
        (again,) = read_reply(200, {"data": [result.as_json()]}).results_of("one")
        assert again.cost_usd == Decimal(amount)


def test_a_float_is_no_money() -> None:
    assert money(0.42) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("Wed, 21 Oct", None),
        ("-1", None),
        ("nan", None),
        ("1e9", 1e9),
        ("inf", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    assert parse_reply(429, b"", header).retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    asked = parse_reply(429, b"", header).retry_after_s
    assert asked is not None
    assert 25 < asked <= 30
