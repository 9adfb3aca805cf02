"""What stands in a request for each input."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections import deque
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tasks.clips.inputs import Inputs, frame_index
from tasks.clips.store import Clip, Origin
from tasks.errors import ProviderUnreachable, UnpinnedInput
from tasks.plan.model import LAST, ClipFrame, Input, WholeClip
from tasks.runware.client import RunwareClient
from tasks.runware.pauses import Pauses
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import MediaFile
from tests.runware.provider import Provider

ORIGIN = Origin("runware", "kling", "task", "video", Decimal("0.42"), None, nsfw=False)


def clip_of(path: Path, frames: int = 5, rate: Fraction = Fraction(24)) -> Clip:
    content = path.read_bytes()
    return Clip("key", path, hashlib.sha256(content).hexdigest(), len(content), frames, 320, 180, rate, False, ORIGIN)


@pytest.mark.parametrize(
    ("planned", "frames", "rate", "actual"),
    [
        (LAST, 121, 24, 120),
        (48, 121, 24, 48),
        (48, 241, 48, 96),
        (48, 40, 24, 39),
        (3, 121, 12, 2),
        (LAST, 1, 24, 0),
    ],
)
def test_a_planned_frame_is_met_by_the_clips_own_rate(
    clip_file: Path, planned: int, frames: int, rate: int, actual: int
) -> None:
    assert frame_index(planned, Fraction(24), clip_of(clip_file, frames, Fraction(rate))) == actual


class TestResolving:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> InputFacts:
        path = tmp_path / "still.png"
        Image.new("RGB", (320, 320), "teal").save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return InputFacts(path.as_uri(), "image", sha256, 1, "image/png", local=path)

    async def resolve(
        self,
        provider: Provider,
        facts: list[InputFacts],
        cache: Path,
        *items: Input,
        clips: dict[str, Clip] | None = None,
    ) -> list[str]:
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            inputs = Inputs(client, {fact.uri: fact for fact in facts}, Fraction(24), cache)
            filled = await inputs.resolve(items, clips or {})
            return [filled[item] for item in items]

    async def test_an_address_travels_as_it_is(self, provider: Provider, tmp_path: Path) -> None:
        item = Input("first_frame", MediaFile("https://example.test/a.png"))
        assert await self.resolve(provider, [], tmp_path, item) == ["https://example.test/a.png"]
        assert provider.counts["posts"] == 0

    async def test_a_local_picture_travels_inside(
        self, provider: Provider, tmp_path: Path, picture: InputFacts
    ) -> None:
        (text,) = await self.resolve(provider, [picture], tmp_path, Input("first_frame", MediaFile(picture.uri)))
        assert text.startswith("data:image/png;base64,")
        assert picture.local is not None
        assert base64.b64decode(text.partition(",")[2]) == picture.local.read_bytes()

    async def test_a_frame_travels_lossless(self, provider: Provider, tmp_path: Path, clip_file: Path) -> None:
        items = [Input("first_frame", ClipFrame("a", LAST)), Input("last_frame", ClipFrame("a", 4))]
        last, fourth = await self.resolve(provider, [], tmp_path, *items, clips={"a": clip_of(clip_file)})
        assert last == fourth
        image = Image.open(io.BytesIO(base64.b64decode(last.partition(",")[2])))
        assert (image.format, image.size) == ("PNG", (320, 180))
        # Decoded once: with the clip itself gone, its frames are still at hand.
        gone = replace(clip_of(clip_file), path=tmp_path / "gone.mp4")
        again = await self.resolve(provider, [], tmp_path, *items, clips={"a": gone})
        assert again == [last, fourth]

    async def test_pictures_can_be_uploaded_once_and_named_by_uuid(self, tmp_path: Path, clip_file: Path) -> None:
        provider = Provider()
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            inputs = Inputs(client, {}, Fraction(24), tmp_path, "upload")
            items = (Input("first_frame", ClipFrame("a", LAST)), Input("reference_image", ClipFrame("a", LAST)))
            filled = await inputs.resolve(items, {"a": clip_of(clip_file)})
        assert len(set(filled.values())) == 1
        (body,) = provider.bodies
        assert body[0]["taskType"] == "imageUpload"
        assert body[0]["image"].startswith("data:image/png;base64,")

    async def test_an_upload_is_tried_again_since_it_costs_nothing(self, tmp_path: Path, clip_file: Path) -> None:
        provider = Provider(uploads=deque([503, 429]))
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            inputs = Inputs(client, {}, Fraction(24), tmp_path, pauses=Pauses(scale=0.001))
            item = Input("video", WholeClip("a"))
            filled = await inputs.resolve((item,), {"a": clip_of(clip_file)})
        assert filled[item] == "media-3"

    async def test_a_clip_is_uploaded_once_for_all_that_use_it(self, tmp_path: Path, clip_file: Path) -> None:
        provider = Provider(delay_s=0.005)
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            inputs = Inputs(client, {}, Fraction(24), tmp_path)
            item = Input("video", WholeClip("a"))
            clips = {"a": clip_of(clip_file)}
            filled = await asyncio.gather(*(inputs.resolve((item,), clips) for _ in range(3)))
        assert {one[item] for one in filled} == {"media-1"}
        (body,) = provider.bodies
        sent = body[0]["media"].partition(",")
        assert sent[0] == "data:video/mp4;base64"
        assert base64.b64decode(sent[2]) == clips["a"].path.read_bytes()

    async def test_an_upload_that_is_stopped_leaves_the_next_to_upload(self, tmp_path: Path, clip_file: Path) -> None:
        provider = Provider(delay_s=0.01)
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            inputs = Inputs(client, {}, Fraction(24), tmp_path)
            item = Input("reference_video", WholeClip("a"))
            first = asyncio.create_task(inputs.resolve((item,), {"a": clip_of(clip_file)}))
            await asyncio.sleep(0.002)
            second = asyncio.create_task(inputs.resolve((item,), {"a": clip_of(clip_file)}))
            first.cancel()
            assert (await second)[item].startswith("media-")
            with pytest.raises(asyncio.CancelledError):
                await first

    async def test_a_failed_upload_says_so(self, tmp_path: Path, clip_file: Path) -> None:
        def broken(request: httpx.Request) -> httpx.Response:
            raise httpx.WriteError("broken pipe", request=request)

        async with RunwareClient("https://api.test/v1", "a-key", transport=httpx.MockTransport(broken)) as client:
            inputs = Inputs(client, {}, Fraction(24), tmp_path, pauses=Pauses(scale=0.001))
            with pytest.raises(ProviderUnreachable, match=r"the upload of clip\.mp4 failed"):
                await inputs.resolve((Input("video", WholeClip("a")),), {"a": clip_of(clip_file)})

    async def test_a_file_that_cannot_be_read_any_more_says_so(
        self, provider: Provider, picture: InputFacts, tmp_path: Path, clip_file: Path
    ) -> None:
        clip = replace(clip_of(clip_file), path=tmp_path / "gone.mp4")
        with pytest.raises(UnpinnedInput, match=r"gone.mp4 cannot be read any more"):
            await self.resolve(provider, [], tmp_path, Input("video", WholeClip("a")), clips={"a": clip})
        broken = replace(picture, local=Path("/proc/self/mem"))  # a file, and reading it fails
        with pytest.raises(UnpinnedInput, match="mem cannot be read any more"):
            await self.resolve(provider, [broken], tmp_path, Input("reference_image", MediaFile(broken.uri)))

    async def test_a_file_that_is_gone_is_not_paid_for(
        self, provider: Provider, tmp_path: Path, picture: InputFacts
    ) -> None:
        assert picture.local is not None
        picture.local.unlink()
        with pytest.raises(UnpinnedInput, match="cannot be read any more"):
            await self.resolve(provider, [picture], tmp_path, Input("first_frame", MediaFile(picture.uri)))


def test_request_bodies_of_uploads_are_what_they_say(tmp_path: Path) -> None:
    """Streamed in pieces, base64 must not be padded in the middle; lengths around a piece's end show it."""

    async def upload(size: int) -> None:
        path = tmp_path / f"{size}.mp4"
        path.write_bytes(bytes(index % 251 for index in range(size)))
        seen: list[bytes] = []

        def store(request: httpx.Request) -> httpx.Response:
            assert int(request.headers["Content-Length"]) == len(request.content)
            (task,) = json.loads(request.content)
            seen.append(base64.b64decode(task["media"].partition(",")[2], validate=True))
            return httpx.Response(200, json={"data": [{"taskUUID": task["taskUUID"], "mediaUUID": "m"}]})

        async with RunwareClient("https://api.test/v1", "a-key", transport=httpx.MockTransport(store)) as client:
            assert await client.upload(path, "video/mp4") == "m"
        assert seen == [path.read_bytes()]

    for size in (0, 1, 2, 3, 196_607, 196_608, 196_609, 400_000):
        asyncio.run(upload(size))
