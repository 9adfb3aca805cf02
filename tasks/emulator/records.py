"""What the emulator remembers, as plain records that survive as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from tasks.emulator.fates import Failure, Fate
from tasks.emulator.rules import Mode, Role

__all__ = ["MEDIA_TYPES", "Outcome", "ResultRecord", "Source", "TaskRecord", "UploadRecord"]

MediaKind = Literal["image", "video"]

MEDIA_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".jpeg": "image/jpeg"}
"""By the suffix of a file's name."""


@dataclass(frozen=True)
class Source:
    """One input of a task, pinned when the task was accepted.

    Attributes:
        role: What the task uses it for.
        kind: Picture or video.
        content: Hash of what it shows: of its bytes, or of the URL that it stands for.
        file: Path below the state folder; None for a placeholder.
        url: The remote URL that a placeholder stands for.
        width: Pixels.
        height: Pixels.
        length_ms: A video's length in milliseconds; 0 for a picture.
    """

    role: Role
    kind: MediaKind
    content: str
    file: str | None
    url: str | None
    width: int
    height: int
    length_ms: int = 0

    @property
    def length_s(self) -> Decimal:
        """Length in seconds, as it is billed."""
        return Decimal(self.length_ms).scaleb(-3)


@dataclass(frozen=True)
class ResultRecord:
    """One clip that a task makes. `cost_usd` is due when it succeeds.

    `ready_at` (Unix seconds) is the earliest time of its end; None: when its task is ready.
    """

    video_uuid: str
    seed: int
    cost_usd: str
    ready_at: float | None = None
    fate: Fate = field(default_factory=Fate)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ResultRecord:
        """The record that `dataclasses.asdict` took apart."""
        return cls(**{**fields, "fate": Fate.from_json(fields.get("fate", {}))})


@dataclass(frozen=True)
class TaskRecord:
    """One accepted `videoInference` task.

    Times are Unix seconds; `ready_at` is the earliest time of success. `frame_count` and `rate` (frames a
    second, as text of a fraction) are those of the clip, except for an edit, whose source decides both.
    `request` has its media shortened.
    """

    task_uuid: str
    model: str
    mode: Mode
    prompt: str
    width: int
    height: int
    frame_count: int
    rate: str
    output_format: str
    output_quality: int
    keep_original_sound: bool
    include_cost: bool
    check_content: bool
    ttl_s: int | None
    webhook_url: str | None
    upload_endpoint: str | None
    accepted_at: float
    ready_at: float
    content_key: str
    sources: tuple[Source, ...]
    results: tuple[ResultRecord, ...]
    request: dict[str, Any]

    @property
    def suffix(self) -> str:
        """File name suffix of its clips."""
        return f".{self.output_format.lower()}"

    @property
    def media_type(self) -> str:
        """MIME type of its clips."""
        return MEDIA_TYPES[self.suffix]

    @property
    def frames_per_second(self) -> Fraction:
        """`rate` as a number."""
        return Fraction(self.rate)

    def ended_at(self, result: ResultRecord, outcome: Outcome) -> float:
        """When a result that has ended is told, in Unix seconds."""
        return max(self.ready_at if result.ready_at is None else result.ready_at, outcome.rendered_at)

    def result(self, video_uuid: str) -> ResultRecord | None:
        """The result of that UUID."""
        return next((result for result in self.results if result.video_uuid == video_uuid), None)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> TaskRecord:
        """The record that `as_json` wrote."""
        sources = tuple(Source(**source) for source in fields["sources"])
        results = tuple(ResultRecord.from_json(result) for result in fields["results"])
        return cls(**{**fields, "sources": sources, "results": results})


@dataclass(frozen=True)
class Outcome:
    """How one result ended, and when (Unix seconds). `error` is why it failed, without which it succeeded.

    `by` is the emulator that ended it.
    """

    rendered_at: float
    error: str | None = None
    code: str = "processingFailed"
    parameter: str | None = None
    charged: bool = False
    by: str = ""

    @classmethod
    def of_failure(cls, failure: Failure, now: float) -> Outcome:
        """The outcome of a result that was meant to fail."""
        return cls(now, failure.message, failure.code, failure.parameter, failure.charged)

    @property
    def costs(self) -> bool:
        """Whether the result is charged."""
        return self.error is None or self.charged


@dataclass(frozen=True)
class UploadRecord:
    """One upload: a file of the state folder, or a remote URL that a placeholder stands for."""

    media_uuid: str
    kind: MediaKind
    suffix: str
    file: str | None
    url: str | None
