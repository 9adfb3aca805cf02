"""Look at the pictures, videos and sounds that the film uses: what they are, and exactly which bytes.

The plan is a pure function of a storyboard and these facts, so that planning and rendering the same inputs
give the same keys. What a person can put right (a local file that is no picture) is an error with its line;
what the world may put right (a server that is down) is told as `unpinned`, and rendering refuses it before
paying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, TypeAlias

import httpx
from PIL import Image

from tasks.errors import MediaError, Problem, StorageUnreachable, StoryboardError
from tasks.media.probe import probe_picture, probe_sound, probe_video
from tasks.redaction import redact
from tasks.storyboard.fetch import Fetched, InputCache, sha256_and_size, web_client
from tasks.storyboard.model import MediaFile, Shot, Storyboard
from tasks.storyboard.uris import decode_data_uri, local_path, scheme_of
from tasks.together import together

__all__ = ["InputFacts", "Kind", "inspect_inputs"]

Kind: TypeAlias = Literal["image", "video", "sound"]

_AT_ONCE = 8
_WORDS: dict[Kind, str] = {"image": "a picture", "video": "a video", "sound": "a sound file"}


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What is known of one input.

    Attributes:
        uri: As in the storyboard's `MediaFile`.
        kind: What the film uses it as.
        sha256: Of its bytes, hex.
        size_bytes: Its size.
        media_type: Such as `image/png` or `video/mp4`, by its content.
        width: In pixels.
        height: In pixels.
        duration_s: Length of a video or a sound in seconds, to the millisecond.
        has_sound: Whether there is a sound track.
        local: Where the bytes can be read now.
        unpinned: Why it could not be read, if it could not; then only `uri` and `kind` are known.
    """

    uri: str
    kind: Kind
    sha256: str | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: Decimal | None = None
    has_sound: bool | None = None
    local: Path | None = None
    unpinned: str | None = None


async def inspect_inputs(
    storyboard: Storyboard,
    cache: Path,
    *,
    formats: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> dict[str, InputFacts]:
    """Read every file that the storyboard's film uses, eight at a time.

    Args:
        storyboard: Which inputs, and as what. Assets that nothing uses are not looked at.
        cache: Folder in which fetched files are kept, and found again.
        formats: What files each model takes, by its id, then under `image` and `video`; told to who gave another.
        transport: Takes the place of the network for `http(s)` addresses.

    Returns:
        Facts by URI.

    Raises:
        StoryboardError: Local files or data URIs that are not what they are used as; with their lines.
    """
    uses: dict[tuple[str, Kind], _Use] = {}
    for use in _uses(storyboard):
        uses.setdefault((use.media.uri, use.kind), use)
    inspection = _Inspection(storyboard, InputCache(cache), (formats or {}).get(storyboard.model, {}))
    async with AsyncExitStack() as stack:
        if any(scheme_of(uri) in {"http", "https"} for uri, _ in uses):
            inspection.client = await stack.enter_async_context(web_client(transport))
        outcomes = await together(inspection.inspect(use) for use in uses.values())
    problems = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    if problems:
        raise StoryboardError(sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0))
    facts: dict[str, InputFacts] = {}
    for outcome in outcomes:
        if isinstance(outcome, InputFacts) and (outcome.unpinned is not None or outcome.uri not in facts):
            facts[outcome.uri] = outcome
    return facts


@dataclass(frozen=True, slots=True)
class _Use:
    """A use of a file by a shot; by a card, or by the film as a whole, where there is no shot."""

    shot: Shot | None
    key: str
    kind: Kind
    media: MediaFile


def _uses(storyboard: Storyboard) -> Iterator[_Use]:
    if storyboard.music is not None:
        yield _Use(None, "music", "sound", storyboard.music.file)
    for card in (storyboard.title_card, storyboard.end_card):
        if card is not None and card.picture is not None:
            yield _Use(None, f"{card.key}.picture", "image", card.picture)
    for shot in storyboard.shots:
        pictures = [("first_frame", shot.first_frame), ("last_frame", shot.last_frame)]
        pictures += [(f"reference_images[{at}]", item) for at, item in enumerate(shot.reference_images)]
        videos = [("video", shot.video)]
        videos += [(f"reference_videos[{at}]", item) for at, item in enumerate(shot.reference_videos)]
        yield from (_Use(shot, key, "image", item) for key, item in pictures if isinstance(item, MediaFile))
        yield from (_Use(shot, key, "video", clip) for key, clip in videos if isinstance(clip, MediaFile))
        if shot.narration is not None:
            yield _Use(shot, "narration", "sound", shot.narration)


class _Inspection:
    def __init__(self, storyboard: Storyboard, cache: InputCache, formats: Mapping[str, Sequence[str]]) -> None:
        self._storyboard = storyboard
        self._cache = cache
        self._formats = formats
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.client: httpx.AsyncClient | None = None

    async def inspect(self, use: _Use) -> InputFacts | Problem:
        async with self._slots:
            scheme = scheme_of(use.media.uri)
            if scheme in {"file", "data"}:
                return await self._at_hand(use)
            return await self._elsewhere(use)

    async def _at_hand(self, use: _Use) -> InputFacts | Problem:
        try:
            path = local_path(use.media.uri)
            if path is not None:
                sha256, size_bytes = await asyncio.to_thread(sha256_and_size, path)
                fetched = Fetched(path, sha256, size_bytes)
            else:
                fetched = await self._cache.keep(decode_data_uri(use.media.uri)[1])
        except ValueError as error:
            return self._problem(use, str(error), of_file=True)
        except OSError as error:
            return self._problem(use, f"{_name(use)} cannot be read: {error.strerror}", of_file=True)
        try:
            return await asyncio.to_thread(_facts, use, fetched)
        except MediaError as error:
            return await asyncio.to_thread(self._wrong_kind, use, fetched.path, error)

    async def _elsewhere(self, use: _Use) -> InputFacts:
        uri = use.media.uri
        try:
            if scheme_of(uri) not in {"http", "https"} or self.client is None:
                return await asyncio.to_thread(_facts, use, await self._cache.from_storage(uri))
            fetched = await self._cache.from_web(uri, self.client)
            facts = await asyncio.to_thread(_facts, use, fetched)
            # Only what proved to be a picture or a video is worth falling back on.
            await self._cache.remember(uri, fetched)
        except StorageUnreachable as error:
            return InputFacts(uri, use.kind, unpinned=error.message)
        except MediaError as error:
            said = f"what is there is not {_WORDS[use.kind]}: {redact(error.message)}"
            return InputFacts(uri, use.kind, unpinned=said)
        except OSError as error:
            return InputFacts(uri, use.kind, unpinned=f"it cannot be kept in the cache: {error.strerror}")
        return facts

    def _wrong_kind(self, use: _Use, path: Path, error: MediaError) -> Problem:
        needed = _WORDS[use.kind]
        for other, probe in _PROBES.items():
            if other == use.kind:
                continue
            try:
                probe(path)
            except MediaError:
                continue
            return self._problem(use, f"{_name(use)} is {_WORDS[other]}, and '{use.key}' takes {needed}", of_file=False)
        return self._problem(use, f"{_name(use)} is not {needed}: {error.message}", of_file=True)

    def _problem(self, use: _Use, message: str, *, of_file: bool) -> Problem:
        """A bad file is told where it is brought in, a good one in the wrong place where it is used."""
        key, line = use.key, self._line(use)
        shot = None if use.shot is None else use.shot.id
        name = use.media.asset
        if of_file and name is not None:
            lines = self._storyboard.lines
            brought_in = lines.get(f"assets.{name}.source", lines.get(f"assets.{name}"))
            if brought_in is not None:
                key, shot, line = f"assets.{name}", None, brought_in
        return Problem(message, self._storyboard.file, line, key, shot, self._accepted(use))

    def _line(self, use: _Use) -> int | None:
        if use.shot is None:
            return self._storyboard.lines.get(use.key)
        return use.shot.lines.get(use.key, use.shot.lines.get(""))

    def _accepted(self, use: _Use) -> str:
        formats = " or ".join(self._formats.get(use.kind, ()))
        return f"{_WORDS[use.kind]} that is whole" + (f": {formats}" if formats else "")


_PROBES: Final[Mapping[Kind, Callable[[Path], object]]] = {
    "image": probe_picture,
    "video": probe_video,
    "sound": probe_sound,
}


def _name(use: _Use) -> str:
    path = local_path(use.media.uri)
    return f"'{path.name}'" if path is not None else "this data URI"


def _facts(use: _Use, fetched: Fetched) -> InputFacts:
    width = height = duration_s = None
    has_sound: bool | None = None
    match use.kind:
        case "image":
            picture = probe_picture(fetched.path)
            media_type = Image.MIME.get(picture.format, f"image/{picture.format.lower()}")
            width, height = picture.width, picture.height
        case "video":
            video = probe_video(fetched.path)
            media_type = _video_type(fetched.path)
            width, height, duration_s, has_sound = video.width, video.height, video.duration_s, video.has_sound
        case "sound":
            sound = probe_sound(fetched.path)
            media_type, duration_s, has_sound = f"audio/{sound.codec}", sound.duration_s, True
    return InputFacts(
        uri=use.media.uri,
        kind=use.kind,
        sha256=fetched.sha256,
        size_bytes=fetched.size_bytes,
        media_type=media_type,
        width=width,
        height=height,
        duration_s=duration_s,
        has_sound=has_sound,
        local=fetched.path,
    )


def _video_type(path: Path) -> str:
    """The media type of a video by its first bytes; names lie, and cached files have none."""
    with path.open("rb") as opened:
        head = opened.read(64)
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free"}:
        return "video/quicktime" if head[4:8] != b"ftyp" or head[8:12] == b"qt  " else "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head else "video/x-matroska"
    if head[:4] == b"RIFF":
        return "video/x-msvideo"
    return "video/mp2t" if head[:1] == b"\x47" else "application/octet-stream"
