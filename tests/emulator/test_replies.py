"""Downloads that are cut, damaged, slow or not there; the file itself stays whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty


@pytest.fixture
def clip(faulty: Faulty) -> tuple[str, bytes]:
    """The address of a clip, and what is there."""
    url = faulty.make(faulty.text_task())["videoURL"]
    return url, faulty.http.get(url).content


def once(faulty: Faulty, **rule: Any) -> None:
    faulty.set({"call": "download", "times": 1, **rule})


def test_a_file_comes_in_part_and_whole_the_next_time(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    url, whole = clip
    once(faulty, fault="truncate", keep=0.25)

    reply = faulty.http.get(url)

    assert (reply.status_code, reply.content) == (200, whole[: len(whole) // 4])
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert faulty.http.get(url).content == whole


def test_a_file_is_cut_on_the_line(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    url, whole = clip
    once(faulty, fault="truncate", announce_whole=True)

    received = b""
    with faulty.http.stream("GET", url) as reply:
        assert int(reply.headers["content-length"]) == len(whole)
        parts = reply.iter_bytes()
        while len(received) < len(whole) // 2:
            received += next(parts)
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)

    assert received == whole[: len(whole) // 2]
    assert faulty.http.get(url).content == whole


def test_a_file_has_zeros_in_its_middle(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    url, whole = clip
    once(faulty, fault="corrupt", share=0.5)

    content = faulty.http.get(url).content

    assert len(content) == len(whole)
    changed = [index for index, (one, other) in enumerate(zip(content, whole, strict=True)) if one != other]
    assert len(whole) // 4 - 1 <= changed[0]
    assert changed[-1] <= len(whole) * 3 // 4
    assert not any(content[changed[0] : changed[-1] + 1])


def test_a_web_page_comes_instead(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    once(faulty, fault="not_a_video")

    reply = faulty.http.get(clip[0])

    assert (reply.status_code, reply.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert reply.content.startswith(b"<!doctype html>")


@pytest.mark.parametrize("rule", [{"fault": "drip", "over_s": 0.2}, {"fault": "hang", "after_s": 0.2}])
def test_a_file_trickles_or_comes_late(faulty: Faulty, clip: tuple[str, bytes], rule: dict[str, Any]) -> None:
    url, whole = clip
    once(faulty, **rule)

    started = time.monotonic()
    reply = faulty.http.get(url)

    assert 0.2 <= time.monotonic() - started < 2
    assert reply.content == whole


@pytest.mark.parametrize("accept", [False, True])
def test_the_server_of_files_is_busy(faulty: Faulty, clip: tuple[str, bytes], accept: bool) -> None:
    once(faulty, fault="status", status=503, retry_after_s=1, accept=accept)

    reply = faulty.http.get(clip[0])
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_the_connection_ends_before_a_file(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    once(faulty, fault="drop_request")

    with pytest.raises(httpx.RemoteProtocolError):
        faulty.http.get(clip[0])


def test_to_announce_a_file_is_no_download(faulty: Faulty, clip: tuple[str, bytes]) -> None:
    once(faulty, fault="not_a_video")

    assert faulty.http.head(clip[0]).headers["content-type"] == "video/mp4"
    assert faulty.given() == [0]


def test_rules_tell_tasks_apart(faulty: Faulty) -> None:
    faulty.set({"fault": "status", "call": "download", "prompt": "gull"})
    gull = faulty.make(faulty.text_task(positivePrompt="A gull"))["videoURL"]

    assert faulty.http.get(gull).status_code == 503
    assert faulty.http.get(faulty.make(faulty.text_task())["videoURL"]).status_code == 200


def test_it_stops_soon_while_an_answer_hangs(api: Api) -> None:
    plan = {"rules": [{"fault": "hang", "after_s": 60}]}
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, faults=plan)) as server:
        client = type(api)(server)
        with pytest.raises(httpx.ReadTimeout):
            client.http.post(server.base_url, json=[client.text_task()], timeout=0.2)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
        client.http.close()
