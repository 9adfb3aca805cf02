"""The manifest: what was asked, generated, reused, paid and joined, as JSON beside the film."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.clips.generate import Taken
from tasks.ledger import Attempt, Totals
from tasks.media.ffmpeg import version as ffmpeg_version
from tasks.plan.model import Plan, number, usd
from tasks.redaction import redact
from tasks.sequence.timeline import Cut
from tasks.sequence.verify import FilmFacts

__all__ = ["Timings", "build_manifest"]

_FORMAT = "shotchain-manifest/1"


@dataclass(frozen=True, slots=True)
class Timings:
    """When the run began, when its first request left, when its last clip was stored, when the film was joined."""

    started_at: datetime
    joined_at: datetime
    first_submitted_at: datetime | None
    last_stored_at: datetime | None


def build_manifest(
    *,
    run_id: str,
    plan: Plan,
    takes: Sequence[Taken],
    totals: Totals,
    cuts: Mapping[str, Cut],
    attempts: Sequence[Attempt],
    film: FilmFacts,
    film_name: str,
    timings: Timings,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """All of it, JSON-ready: dollars as decimal strings, times in UTC, no secret and no picture data."""
    by_shot: dict[str, list[Taken]] = {}
    for taken in takes:
        by_shot.setdefault(taken.shot, []).append(taken)
    by_key: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_key.setdefault(attempt.content_key, []).append(attempt)
    manifest = {
        "format": _FORMAT,
        "run_id": run_id,
        "title": plan.title,
        "provider": plan.provider,
        "model": plan.model,
        "film": {
            "file": film_name,
            "sha256": film.sha256,
            "size_bytes": film.size_bytes,
            "frames": film.frames,
            "duration_s": number(film.duration_s),
            "width": film.width,
            "height": film.height,
            "fps": number(film.rate),
            "has_sound": film.has_sound,
        },
        "cost_usd": usd(totals.spent_usd),
        "unknown_usd": usd(totals.unknown_usd),
        "shots": [
            {
                "id": shot.id,
                "mode": str(shot.mode),
                "boundary": str(shot.boundary),
                "seam": shot.seam,
                "depends_on": list(shot.depends_on),
                "select": shot.select,
                "film": _cut(cuts[shot.id]),
                "request": shot.request,
                "takes": [_take(taken, by_key.get(taken.clip.key, [])) for taken in by_shot[shot.id]],
            }
            for shot in plan.shots
        ],
        "plan": plan.as_dict(),
        "timings": {
            "started_at": _time(timings.started_at),
            "first_submitted_at": _time(timings.first_submitted_at),
            "last_stored_at": _time(timings.last_stored_at),
            "joined_at": _time(timings.joined_at),
        },
        "warnings": list(warnings),
        "versions": {
            "shotchain": importlib.metadata.version("shotchain"),
            "prefect": importlib.metadata.version("prefect"),
            "python": platform.python_version(),
            "ffmpeg": ffmpeg_version(),
        },
    }
    redacted: dict[str, Any] = redact(manifest)
    return redacted


def _cut(cut: Cut) -> dict[str, Any]:
    return {"first_frame": cut.start, "last_frame": cut.stop - 1, "frames": cut.frames}


def _take(taken: Taken, attempts: Sequence[Attempt]) -> dict[str, Any]:
    clip = taken.clip
    return {
        "number": taken.take,
        "content_key": clip.key,
        "reused": taken.reused,
        "cost_usd": usd(clip.origin.cost_usd),
        "paid_usd": usd(taken.paid_usd),
        "taskUUID": clip.origin.task_uuid,
        "videoUUID": clip.origin.video_uuid,
        "seed": clip.origin.seed,
        "nsfw": clip.origin.nsfw,
        "sha256": clip.sha256,
        "size_bytes": clip.size_bytes,
        "frames": clip.frames,
        "width": clip.width,
        "height": clip.height,
        "fps": number(clip.rate),
        "has_sound": clip.has_sound,
        "attempts": [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "taskUUID": attempt.task_uuid,
        "state": str(attempt.state),
        "charged": None if attempt.charged is None else str(attempt.charged),
        "reserved_usd": usd(attempt.reserved_usd),
        "cost_usd": None if attempt.cost_usd is None else usd(attempt.cost_usd),
        "posts": attempt.posts,
        "run_id": attempt.run_id,
        "submitted_at": _time(attempt.submitted_at),
        "finished_at": _time(attempt.finished_at),
        "stored_at": _time(attempt.stored_at),
        "error": attempt.error,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
