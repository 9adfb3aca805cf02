"""What is known of a stored clip: its origin, its bytes, what decoding it gave. Stands beside it as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from tasks.errors import StorageUnreachable

__all__ = ["Clip", "ClipRecord", "Origin", "sha256_of"]


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


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """What stands beside a clip. `stored_at` is when it was written, in UTC."""

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
    stored_at: datetime

    @property
    def file_name(self) -> str:
        """The name of its clip below the store's `clips/`."""
        return f"{self.key[:2]}/{self.key}{self.suffix}"

    @classmethod
    def read(cls, key: str, content: bytes) -> ClipRecord | None:
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
                stored_at=_moment(str(told["stored_at"])),
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
            "stored_at": self.stored_at.isoformat(timespec="milliseconds"),
        }
        return json.dumps(told, indent=1)

    def fits(self, path: Path) -> bool:
        """Whether a file is this clip, whole."""
        try:
            return path.stat().st_size == self.size_bytes and sha256_of(path) == self.sha256
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


def sha256_of(path: Path) -> str:
    """The sha256 (hex) of a local file, streamed. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
