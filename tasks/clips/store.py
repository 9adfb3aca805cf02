"""The clip store: every clip that was ever paid for, under its content key, on any fsspec storage.

clips/ab/abcdef….mp4     the provider's file, byte for byte
clips/ab/abcdef….json    what is known of it; written last, so a clip with a record is whole
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from tasks.errors import StorageUnreachable
from tasks.media.frames import DecodedFacts
from tasks.runware.download import Download
from tasks.storage import Location, locate

__all__ = ["Clip", "ClipStore", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a clip comes from and what it cost."""

    provider: str
    model: str
    task_uuid: str
    video_uuid: str
    cost_usd: Decimal
    seed: int | None
    nsfw: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """A whole clip on this machine. `frames`, `rate` and the size are as decoded, not as promised."""

    key: str
    path: Path
    sha256: str
    size_bytes: int
    frames: int
    width: int
    height: int
    rate: Fraction
    has_sound: bool
    origin: Origin


class ClipStore:
    """The clips at `root`; `cache` is a local folder for copies of those that lie elsewhere."""

    def __init__(self, root: str, cache: Path) -> None:
        self.root = locate(root)
        self._cache = cache

    def check(self) -> None:
        """See, before anything is paid, whether clips could be kept. Blocks; writes nothing.

        Raises:
            SettingsError: The place is no place for clips.
            StorageUnreachable: It cannot be written, or does not answer.
        """
        self.root.child("clips/clip").check_writable()
        locate(str(self._cache / "clips" / "clip")).check_writable()

    async def find(self, key: str) -> Clip | None:
        """The clip of this key, if it is whole: of the recorded length and sha256.

        A file that is not what its record says is moved aside, for inspection, and counts as absent.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return await asyncio.to_thread(self._find, key)

    async def has(self, keys: set[str]) -> set[str]:
        """Which of `keys` have a clip of the recorded length; for a plan, without reading the clips."""
        # Of remote stores every question is a round trip, so they are asked at once.
        in_order = sorted(keys)
        there = await asyncio.gather(*(asyncio.to_thread(self._is_there, key) for key in in_order))
        return {key for key, found in zip(in_order, there, strict=True) if found}

    async def put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        """Keep a clip that was downloaded and decoded whole.

        Raises:
            StorageUnreachable: It cannot be written; the clip stays the provider's.
        """
        return await asyncio.to_thread(self._put, key, download, facts, origin)

    async def set_aside(self, key: str, file: Path) -> str:
        """Keep a damaged file of this key for inspection and say where."""
        place = self._place(key, f".damaged-{_now()}{file.suffix}")
        await asyncio.to_thread(place.put, file)
        return place.shown

    def _place(self, key: str, suffix: str) -> Location:
        return self.root.child(f"clips/{key[:2]}/{key}{suffix}")

    def _record(self, key: str) -> _Record | None:
        content = self._place(key, ".json").read_bytes()
        return None if content is None else _Record.read(key, content)

    def _is_there(self, key: str) -> bool:
        record = self._record(key)
        return record is not None and self._place(key, record.suffix).size() == record.size_bytes

    def _find(self, key: str) -> Clip | None:
        # Looked at twice before it is called damaged: another run may be storing it anew, or a copy of it came badly.
        for is_last in (False, True):
            record = self._record(key)
            if record is None:
                return None
            place = self._place(key, record.suffix)
            if place.size() is None:
                return None
            path = place.local or self._copy(place, key, record)
            if record.fits(path):
                return record.clip(path)
            if is_last:
                place.rename(self._place(key, f".damaged-{_now()}{record.suffix}").name)
        return None

    def _copy(self, place: Location, key: str, record: _Record) -> Path:
        path = self._cached(key, record.suffix)
        if not record.fits(path):
            place.fetch(path)
        return path

    def _cached(self, key: str, suffix: str) -> Path:
        return self._cache / "clips" / f"{key}{suffix}"

    def _put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        suffix = download.path.suffix
        record = _Record(
            key=key,
            suffix=suffix,
            sha256=download.sha256,
            size_bytes=download.size_bytes,
            frames=facts.frames,
            width=facts.width,
            height=facts.height,
            rate=facts.rate,
            has_sound=facts.has_sound,
            origin=origin,
        )
        place = self._place(key, suffix)
        place.put(download.path)
        path = place.local
        if path is None:
            path = self._cached(key, suffix)
            locate(str(path)).put(download.path)
        self._place(key, ".json").put_bytes(record.text().encode())
        return record.clip(path)


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands beside a clip."""

    key: str
    suffix: str
    sha256: str
    size_bytes: int
    frames: int
    width: int
    height: int
    rate: Fraction
    has_sound: bool
    origin: Origin

    @classmethod
    def read(cls, key: str, content: bytes) -> _Record | None:
        """What `text` wrote; None for anything else, which describes no clip."""
        try:
            told = json.loads(content)
            if told["key"] != key:
                return None
            origin = Origin(
                provider=str(told["provider"]),
                model=str(told["model"]),
                task_uuid=str(told["task_uuid"]),
                video_uuid=str(told["video_uuid"]),
                cost_usd=Decimal(told["cost_usd"]),
                seed=None if told["seed"] is None else int(told["seed"]),
                nsfw=bool(told["nsfw"]),
            )
            return cls(
                key=key,
                suffix=str(told["suffix"]),
                sha256=str(told["sha256"]),
                size_bytes=int(told["size_bytes"]),
                frames=int(told["frames"]),
                width=int(told["width"]),
                height=int(told["height"]),
                rate=Fraction(told["rate"]),
                has_sound=bool(told["has_sound"]),
                origin=origin,
            )
        except (ValueError, LookupError, TypeError, ArithmeticError):
            return None

    def text(self) -> str:
        """As JSON."""
        told = {
            "key": self.key,
            "suffix": self.suffix,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "frames": self.frames,
            "width": self.width,
            "height": self.height,
            "rate": str(self.rate),
            "has_sound": self.has_sound,
            "provider": self.origin.provider,
            "model": self.origin.model,
            "task_uuid": self.origin.task_uuid,
            "video_uuid": self.origin.video_uuid,
            "cost_usd": str(self.origin.cost_usd),
            "seed": self.origin.seed,
            "nsfw": self.origin.nsfw,
            "stored_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        return json.dumps(told, indent=1)

    def fits(self, path: Path) -> bool:
        """Whether a file is this clip, whole."""
        try:
            return path.stat().st_size == self.size_bytes and _sha256(path) == self.sha256
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageUnreachable(f"{path} cannot be read: {error.strerror or error}") from error

    def clip(self, path: Path) -> Clip:
        """The clip that it describes, at a local path."""
        return Clip(
            key=self.key,
            path=path,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
            frames=self.frames,
            width=self.width,
            height=self.height,
            rate=self.rate,
            has_sound=self.has_sound,
            origin=self.origin,
        )


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
