"""Turns the inputs of a planned request into what travels: URLs as they are, pictures as data URIs, videos uploaded.

Frames of other shots travel as lossless PNG. Pictures can be uploaded too, once for all requests that use them. The
provider takes videos only by URL or UUID, so a video that it cannot fetch is uploaded to its media storage, once.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from tasks.clips.store import Clip
from tasks.errors import RateLimited, ShotchainError, UnpinnedInput
from tasks.media.files import mark_used
from tasks.media.frames import extract_frame
from tasks.plan.model import LAST, ClipFrame, Input, WholeClip
from tasks.rounding import round_half_up
from tasks.runware.client import RunwareClient
from tasks.runware.pauses import Pauses
from tasks.settings import Pictures
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import MediaFile

__all__ = ["Inputs", "frame_index"]

_UPLOAD_TRIES = 4
_VIDEO_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}


def frame_index(planned: int, planned_rate: Fraction, clip: Clip) -> int:
    """The frame of a clip that the plan means, by the clip's own rate and length.

    The plan counts at the model's declared rate; a clip that came at another is met at the same moment. A clip that
    came shorter gives its last frame.
    """
    if planned == LAST:
        return clip.frames - 1
    return min(round_half_up(planned * clip.rate / planned_rate), clip.frames - 1)


class Inputs:
    """Resolves inputs for one run.

    Args:
        client: Takes uploads.
        facts: What is known of each file, by URI.
        clip_rate: The model's declared frames a second, at which the plan counts.
        cache: Local folder for decoded frames.
        pictures: Whether local pictures travel `inline` in each request, or are `upload`ed once and named by UUID.
        pauses: How long to wait before an upload is tried again.
    """

    def __init__(
        self,
        client: RunwareClient,
        facts: Mapping[str, InputFacts],
        clip_rate: Fraction,
        cache: Path,
        pictures: Pictures = "inline",
        pauses: Pauses | None = None,
    ) -> None:
        self._client = client
        self._facts = facts
        self._clip_rate = clip_rate
        self._cache = cache
        self._pictures = pictures
        self._pauses = pauses or Pauses()
        self._uploaded: dict[str, str] = {}
        self._uploading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def resolve(self, inputs: tuple[Input, ...], clips: Mapping[str, Clip]) -> dict[Input, str]:
        """What stands in the request for each input.

        Args:
            inputs: As planned.
            clips: The selected clips of the shots that are named, by shot id.

        Raises:
            UnpinnedInput: A file cannot be read any more.
            ShotchainError: An upload failed, or a clip could not be decoded.
        """
        return {item: await self._resolve(item, clips) for item in inputs}

    async def frame(self, clip: Clip, index: int) -> Path:
        """The `index`-th frame of a clip, as the plan counts, as a PNG file; decoded once."""
        actual = index if index == LAST else frame_index(index, self._clip_rate, clip)
        png = self.still(clip.sha256, actual)
        if png.is_file():
            mark_used(png)
        else:
            await asyncio.to_thread(extract_frame, clip.path, actual, png)
        return png

    def still(self, sha256: str, index: int) -> Path:
        """Where the `index`-th frame of the clip with these bytes is kept, once somebody has decoded it."""
        return self._cache / "frames" / f"{sha256}-{'last' if index == LAST else index}.png"

    async def _resolve(self, item: Input, clips: Mapping[str, Clip]) -> str:
        match item.source:
            case ClipFrame(shot, index):
                png = await self.frame(clips[shot], index)
                return await self._picture(f"{clips[shot].sha256}/{index}", png, "image/png")
            case WholeClip(shot):
                clip = clips[shot]
                return await self._upload(clip.sha256, clip.path)
            case MediaFile(uri):
                return await self._file(uri, is_video=item.role in {"reference_video", "video"})

    async def _file(self, uri: str, *, is_video: bool) -> str:
        if uri.startswith(("https://", "http://")):
            return uri
        facts = self._facts.get(uri)
        if facts is None or facts.local is None or facts.sha256 is None or not facts.local.is_file():
            raise UnpinnedInput(f"{uri} cannot be read any more")
        if is_video:
            return await self._upload(facts.sha256, facts.local, facts.media_type)
        if uri.startswith("data:") and self._pictures == "inline":
            return uri
        return await self._picture(facts.sha256, facts.local, facts.media_type or "image/png")

    async def _picture(self, content: str, path: Path, media_type: str) -> str:
        if self._pictures == "upload":
            return await self._upload(content, path, media_type)
        with _readable(path):
            return await asyncio.to_thread(_data_uri, path, media_type)

    async def _upload(self, content: str, path: Path, media_type: str | None = None) -> str:
        async with self._uploading[content]:
            if content not in self._uploaded:
                kind = media_type or _VIDEO_TYPES.get(path.suffix.lower(), "video/mp4")
                self._uploaded[content] = await self._sent(path, kind)
            return self._uploaded[content]

    async def _sent(self, path: Path, kind: str) -> str:
        """Upload, again where that may help: nothing is paid for it."""
        for turn in range(1, _UPLOAD_TRIES):
            try:
                with _readable(path):
                    return await self._client.upload(path, kind)
            except ShotchainError as error:
                if not error.transient:
                    raise
                asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
            await self._pauses.backoff(turn, first_s=1.0, most_s=10.0, asked_s=asked_s)
        with _readable(path):
            return await self._client.upload(path, kind)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Tell as ours that a file, which was there a moment ago, cannot be read."""
    try:
        yield
    except OSError as error:
        raise UnpinnedInput(f"{path} cannot be read any more: {error.strerror or error}") from error


def _data_uri(path: Path, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}"
