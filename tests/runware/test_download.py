"""A download is whole or none."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from pathlib import Path

import httpx
import pytest

from tasks.errors import ProviderUnreachable, ResultGone, StorageUnreachable
from tasks.runware.client import RunwareClient
from tasks.runware.download import Download, download_result
from tasks.runware.pauses import Pauses
from tests.runware.provider import Provider

CONTENT = b"frame " * 100_000
PAUSES = Pauses(scale=0.001)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def fetch(transport: httpx.AsyncBaseTransport, target: Path, url: str = "https://cdn.test/v.mp4") -> Download:
    async with RunwareClient("https://api.test/v1", "a-key", transport=transport) as client:
        return await download_result(client, url, target, pauses=PAUSES)


async def test_a_file_arrives_as_it_is(tmp_path: Path) -> None:
    download = await fetch(Provider(clip=CONTENT), tmp_path / "new" / "v.mp4")
    assert download.path.read_bytes() == CONTENT
    assert (download.size_bytes, download.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize("words", [["cut"], ["failing", "cut", "failing", "cut"]])
async def test_a_line_that_breaks_is_tried_again_from_the_start(tmp_path: Path, words: list[str]) -> None:
    provider = Provider(clip=CONTENT, downloads=deque(words))
    assert (await fetch(provider, tmp_path / "v.mp4")).size_bytes == len(CONTENT)
    assert provider.counts["downloads"] == len(words) + 1


@pytest.mark.parametrize("word", ["cut", "failing"])
async def test_one_that_always_breaks_leaves_nothing(tmp_path: Path, word: str) -> None:
    provider = Provider(clip=CONTENT, downloads=deque([word] * 5))
    with pytest.raises(ProviderUnreachable, match="in 5 tries"):
        await fetch(provider, tmp_path / "v.mp4")
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_what_is_gone_is_not_tried_again(tmp_path: Path, status: int) -> None:
    asked = 0

    def gone(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(status)

    with pytest.raises(ResultGone):
        await fetch(httpx.MockTransport(gone), tmp_path / "v.mp4")
    assert asked == 1


async def test_it_may_lie_behind_another_address(tmp_path: Path) -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v.mp4":
            return httpx.Response(302, headers={"Location": "https://other.test/w.mp4"})
        return httpx.Response(200, content=CONTENT)

    assert (await fetch(httpx.MockTransport(moved), tmp_path / "v.mp4")).size_bytes == len(CONTENT)


@pytest.mark.parametrize("url", ["https://cdn.test/\x00", "https://cdn.test:port/v.mp4"])
async def test_an_address_that_is_none_is_asked_for_anew(tmp_path: Path, url: str) -> None:
    with pytest.raises(ResultGone):
        await fetch(Provider(clip=CONTENT), tmp_path / "v.mp4", url)


async def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageUnreachable, match="cannot be written"):
        await fetch(Provider(clip=CONTENT), tmp_path / "file" / "v.mp4")


async def test_a_server_that_asks_for_time_is_given_it(tmp_path: Path) -> None:
    asked: list[float] = []

    def busy_once(_: httpx.Request) -> httpx.Response:
        asked.append(time.monotonic())
        return httpx.Response(503, headers={"Retry-After": "200"}) if len(asked) == 1 else httpx.Response(200, text="x")

    await fetch(httpx.MockTransport(busy_once), tmp_path / "v.mp4")
    assert asked[1] - asked[0] >= 0.2  # by the scale of these tests' pauses
