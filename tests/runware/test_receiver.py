"""Reports are kept when they come to an address that only we could make; whatever else comes changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tasks.errors import StorageUnreachable
from tasks.redaction import redact
from tasks.runware.receiver import MOST_BYTES, receiver
from tasks.runware.webhook import address_of, is_genuine

SECRET = "s" * 32
TASK = "4f1b9c1e-6a44-4d37-9d4e-0b7c3f1f8a55"
OTHER = "0c9a5f0e-53d1-4a39-8c3b-2f7d1c6b9e11"
REPORT = {"taskType": "videoInference", "taskUUID": TASK, "videoUUID": "v", "videoURL": "https://x/v.mp4", "cost": 0.42}


@dataclass
class Kept:
    """Keeps reports of known tasks, or fails."""

    known: set[str] = field(default_factory=lambda: {TASK})
    reports: list[tuple[str, str]] = field(default_factory=list)
    is_down: bool = False

    def keep(self, task_uuid: str, report: str) -> bool:
        if self.is_down:
            raise StorageUnreachable("the ledger does not answer")
        self.reports.append((task_uuid, report))
        return task_uuid in self.known


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def outside(kept: Kept) -> AsyncIterator[httpx.AsyncClient]:
    app = receiver(SECRET, kept.keep, "/hooks")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        yield client


def address(task_uuid: str = TASK, secret: str = SECRET) -> str:
    return address_of("http://here.test/hooks", secret, task_uuid)


def test_each_task_has_an_address_of_its_own() -> None:
    one, other = address(), address(OTHER)
    token = one.rpartition("=")[2]

    assert one.startswith(f"http://here.test/hooks/{TASK}?token=")
    assert token != other.rpartition("=")[2]
    assert is_genuine(SECRET, TASK, token)
    assert not is_genuine("t" * 32, TASK, token)
    assert not is_genuine(SECRET, TASK, "")


def test_its_token_is_not_shown() -> None:
    assert address().rpartition("=")[2] not in redact(f"posted to {address()}")


async def test_a_report_is_kept_as_it_came(outside: httpx.AsyncClient, kept: Kept) -> None:
    body = json.dumps(REPORT).replace("0.42", "0.420000000000000001")

    answer = await outside.post(address(), content=body)

    assert (answer.status_code, answer.content) == (204, b"")
    assert kept.reports == [(TASK, body)]


async def test_where_its_clip_was_put_is_not_kept(outside: httpx.AsyncClient, kept: Kept) -> None:
    endpoint = {"uploadEndpoint": "https://s3.test/films/x?X-Amz-Signature=abc"}
    for body in ({**REPORT, **endpoint}, {"data": [{**REPORT, **endpoint}]}):
        assert (await outside.post(address(), json=body)).status_code == 204
    assert [json.loads(report) for _, report in kept.reports] == [REPORT, REPORT]


async def test_a_mark_at_the_beginning_is_no_part_of_it(outside: httpx.AsyncClient, kept: Kept) -> None:
    answer = await outside.post(address(), content=b"\xef\xbb\xbf" + json.dumps(REPORT).encode())

    assert answer.status_code == 204
    assert kept.reports == [(TASK, json.dumps(REPORT))]


async def test_reports_in_an_envelope_are_kept_one_by_one(outside: httpx.AsyncClient, kept: Kept) -> None:
    failure = {"code": "inferenceError", "message": "no", "taskUUID": TASK}
    stranger = {**REPORT, "taskUUID": OTHER}

    answer = await outside.post(address(), json={"data": [REPORT, stranger], "errors": [failure]})

    assert answer.status_code == 204
    assert [json.loads(report) for _, report in kept.reports] == [REPORT, failure]


@pytest.mark.parametrize(
    "url",
    [
        f"http://here.test/hooks/{TASK}",
        f"http://here.test/hooks/{TASK}?token=",
        f"http://here.test/hooks/{TASK}?token={'0' * 64}",
        f"http://here.test/hooks/{TASK}?token=%ff%00é",
        address_of("http://here.test/hooks", "another secret of thirty-two chars", TASK),
        f"http://here.test/hooks/{OTHER}?token={address().rpartition('=')[2]}",
        f"http://here.test/{TASK}?token={address().rpartition('=')[2]}",
    ],
)
async def test_a_stranger_is_told_nothing_and_changes_nothing(outside: httpx.AsyncClient, kept: Kept, url: str) -> None:
    assert (await outside.post(url, json=REPORT)).status_code == 404
    assert kept.reports == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 10_000,
        b"null",
        b'"x"',
        b"{}",
        b'{"taskUUID": "another"}',
        b"\xff",
        b'{"data": 3}',
        json.dumps(REPORT).encode("utf-16"),
    ],
)
async def test_what_is_no_report_of_the_task_is_refused(outside: httpx.AsyncClient, kept: Kept, body: bytes) -> None:
    assert (await outside.post(address(), content=body)).status_code == 400
    assert kept.reports == []


async def test_what_is_too_large_is_refused(outside: httpx.AsyncClient, kept: Kept) -> None:
    body = json.dumps({**REPORT, "more": "x" * MOST_BYTES})

    assert (await outside.post(address(), content=body)).status_code == 413
    assert kept.reports == []


async def test_a_task_that_nobody_ordered_here_is_not_found(outside: httpx.AsyncClient, kept: Kept) -> None:
    kept.known.clear()
    assert (await outside.post(address(), json=REPORT)).status_code == 404


async def test_while_nothing_can_be_kept_the_provider_is_to_try_again(outside: httpx.AsyncClient, kept: Kept) -> None:
    kept.is_down = True
    assert (await outside.post(address(), json=REPORT)).status_code == 503


async def test_whoever_looks_whether_it_is_up_sees_that_it_is(outside: httpx.AsyncClient) -> None:
    assert (await outside.get("http://here.test/hooks")).status_code == 204


async def test_only_reports_are_taken(outside: httpx.AsyncClient, kept: Kept) -> None:
    answer: Any = await outside.put(address(), json=REPORT)
    assert answer.status_code == 405
    assert kept.reports == []
