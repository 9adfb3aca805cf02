"""The manifest: what was asked, generated, reused, paid and joined, as JSON beside the film."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from tasks.clips.taken import Taken
from tasks.errors import ShotchainError
from tasks.ledger import Attempt, Totals
from tasks.media.ffmpeg import version as ffmpeg_version
from tasks.plan.model import Plan, PlannedScene, PlannedTake, number, usd
from tasks.provenance.credit import Provenance
from tasks.redaction import redact
from tasks.sequence.timeline import Cut
from tasks.sequence.verify import FilmFacts
from tasks.settings import DEFAULT_FINISH, Finish

__all__ = ["FORMAT", "Timings", "build_manifest"]

FORMAT = "shotchain-manifest/1"


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
    cards: Mapping[str, Cut] = MappingProxyType({}),
    begins: Mapping[str, int] = MappingProxyType({}),
    film: FilmFacts | None,
    film_name: str,
    provenance: Provenance | None = None,
    sidecars: Sequence[Mapping[str, Any]] = (),
    deliverables: Sequence[Mapping[str, Any]] = (),
    media: Sequence[Mapping[str, Any]] = (),
    finish: Finish = DEFAULT_FINISH,
    timings: Timings,
    warnings: Sequence[str],
    failures: Mapping[str, ShotchainError] = MappingProxyType({}),
    to_finish: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All of it, JSON-ready: dollars as decimal strings, times in UTC, no secret and no picture data.

    Args:
        run_id: The run that made it.
        plan: What was asked for.
        takes: What there is of it.
        totals: The run's money.
        cuts: What the film shows of each shot that was made.
        cards: What it shows of each card.
        begins: With which of its frames each shot and card begins.
        attempts: All attempts at the plan's takes, of whatever run.
        film: None where there is none, because shots are missing.
        film_name: The film's file beside the manifest.
        provenance: What the film says of its origin, and what it is with that.
        sidecars: The other files beside it: name, sha256, size in bytes.
        deliverables: What else was made of it, told alike, and what each is.
        media: What timelines among them refer to, told alike.
        finish: How clips were to become a film.
        timings: When what happened.
        warnings: For people.
        failures: By shot, why it is missing; a film shows a slate in its place.
        to_finish: Where money ran out, what the missing shots cost, and what the budgets lack for that.
    """
    made = {(taken.shot, taken.take): taken for taken in takes}
    by_key: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_key.setdefault(attempt.content_key, []).append(attempt)
    manifest = {
        "format": FORMAT,
        "run_id": run_id,
        "title": plan.title,
        "provider": plan.provider,
        "model": plan.model,
        "complete": film is not None and not failures,
        "film": None if film is None else _film(film, film_name, provenance),
        "provenance": None if provenance is None else provenance.as_dict(),
        "sidecars": [dict(sidecar) for sidecar in sidecars],
        "deliverables": [dict(deliverable) for deliverable in deliverables],
        "media": [dict(file) for file in media],
        "finish": finish.as_dict(),
        "cost_usd": usd(totals.spent_usd),
        "unknown_usd": usd(totals.unknown_usd),
        "to_finish": None if to_finish is None else dict(to_finish),
        "shots": [
            {
                "id": shot.id,
                "mode": str(shot.mode),
                "boundary": str(shot.boundary),
                "seam": shot.seam,
                "depends_on": list(shot.depends_on),
                "select": shot.select,
                "film": _shown(film, cuts.get(shot.id), shot, begins),
                "error": failures[shot.id].as_dict() if shot.id in failures else None,
                "request": shot.request,
                "takes": [
                    _take(take, made.get((shot.id, take.number)), by_key.get(take.content_key, []))
                    for take in shot.takes
                ],
            }
            for shot in plan.shots
        ],
        "cards": [
            {"id": card.id, "text": list(card.text), "film": _shown(film, cards.get(card.id), card, begins)}
            for card in plan.cards
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


def _film(film: FilmFacts, name: str, provenance: Provenance | None) -> dict[str, Any]:
    whole = film if provenance is None else provenance  # its marks are in the file, too
    return {
        "file": name,
        "sha256": whole.sha256,
        "size_bytes": whole.size_bytes,
        "frames": film.frames,
        "duration_s": number(film.duration_s),
        "width": film.width,
        "height": film.height,
        "fps": number(film.rate),
        "has_sound": film.has_sound,
        "loudness": film.loudness.as_dict() if film.loudness else None,
        "seam": film.seam,
        "copied_frames": film.copied_frames,
    }


def _shown(
    film: FilmFacts | None, cut: Cut | None, scene: PlannedScene, begins: Mapping[str, int]
) -> dict[str, Any] | None:
    """What the film shows for a shot or card: frames of its clip, or a slate of so many frames."""
    if film is None:
        return None
    if cut is None:
        return {"slate": True, "begin_frame": begins.get(scene.id), "frames": scene.frames}
    return {
        "begin_frame": begins.get(scene.id),
        "first_frame": cut.start,
        "last_frame": cut.stop - 1,
        "frames": cut.frames,
        "overlap_frames": cut.lead,
        "fade_in_frames": cut.fade_in,
        "fade_out_frames": cut.fade_out,
    }


def _take(take: PlannedTake, taken: Taken | None, attempts: Sequence[Attempt]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": take.number,
        "content_key": take.content_key,
        "made": taken is not None,
        "attempts": [_attempt(attempt) for attempt in attempts],
    }
    if taken is None:
        return told
    kept, facts = taken.kept, taken.kept.facts
    return {
        **told,
        "reused": taken.reused,
        "cost_usd": usd(kept.origin.cost_usd),
        "paid_usd": usd(taken.paid_usd),
        "taskUUID": kept.origin.task_uuid,
        "videoUUID": kept.origin.video_uuid,
        "seed": kept.origin.seed,
        "nsfw": kept.origin.nsfw,
        # Of a clip that was delivered, and that nobody has read, only its length is known.
        "size_bytes": kept.size_bytes,
        "sha256": None if facts is None else facts.sha256,
        "frames": None if facts is None else facts.frames,
        "width": None if facts is None else facts.width,
        "height": None if facts is None else facts.height,
        "fps": None if facts is None else number(facts.rate),
        "has_sound": None if facts is None else facts.has_sound,
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
