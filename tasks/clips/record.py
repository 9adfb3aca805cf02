"""What is known of a stored clip: its origin, its bytes, what decoding it gave. Stands beside it as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from tasks.errors import StorageUnreachable
from tasks.media.files import sha256_of

__all__ = ["Clip", "ClipFacts", "ClipRecord", "Kept", "Origin"]


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
class ClipFacts:
    """What came of looking at a clip's bytes. `frames`, `rate` and the size are as decoded, not as promised."""

    sha256: str
    frames: int
    width: int
    height: int
    rate: Fraction
    has_sound: bool

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "rate": str(self.rate)}


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

    @property
    def facts(self) -> ClipFacts:
        """What came of looking at it."""
        return ClipFacts(self.sha256, self.frames, self.width, self.height, self.rate, self.has_sound)


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """What stands beside a clip. `stored_at` is when it came into the store, in UTC.

    `facts` is None while nobody has looked at it: it was delivered into the store, and no byte of it was read here.
    """

    key: str
    suffix: str
    size_bytes: int
    origin: Origin
    stored_at: datetime
    facts: ClipFacts | None

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
                size_bytes=int(told["size_bytes"]),
                origin=origin,
                stored_at=_moment(str(told["stored_at"])),
                facts=None if told["sha256"] is None else _facts(told),
            )
        except (ValueError, LookupError, TypeError, ArithmeticError):
            return None

    def text(self) -> str:
        """As JSON."""
        told = {
            "key": self.key,
            "suffix": self.suffix,
            "size_bytes": self.size_bytes,
            **({"sha256": None} if self.facts is None else self.facts.as_json()),
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
        """Whether a file is this clip, whole: of one that nobody has looked at, whether it is as long."""
        try:
            as_long = path.stat().st_size == self.size_bytes
            return as_long and (self.facts is None or sha256_of(path) == self.facts.sha256)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageUnreachable(f"{path} cannot be read: {error.strerror or error}") from error

    def clip(self, path: Path) -> Clip:
        """The clip that it describes, at a local path.

        Raises:
            LookupError: Nobody has looked at it.
        """
        if self.facts is None:
            raise LookupError(self.key)
        facts = self.facts
        return Clip(
            key=self.key,
            path=path,
            sha256=facts.sha256,
            size_bytes=self.size_bytes,
            frames=facts.frames,
            width=facts.width,
            height=facts.height,
            rate=facts.rate,
            has_sound=facts.has_sound,
            origin=self.origin,
        )


Kept: TypeAlias = Clip | ClipRecord
"""A clip in the store: whole and on this machine, or by its record alone, no byte of it read."""


def _facts(told: Any) -> ClipFacts:
    return ClipFacts(
        sha256=str(told["sha256"]),
        frames=int(told["frames"]),
        width=int(told["width"]),
        height=int(told["height"]),
        rate=Fraction(told["rate"]),
        has_sound=bool(told["has_sound"]),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
