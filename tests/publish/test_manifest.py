"""The manifest: dollars as strings, everything that was paid and how, and no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tasks.clips.store import Clip, Origin
from tasks.clips.taken import Taken
from tasks.errors import Charged, ContentRefused, ProviderFailed
from tasks.ledger import Attempt, State, Totals
from tasks.plan.build import build_plan
from tasks.plan.model import Plan, PlannedCard
from tasks.publish.manifest import Timings, build_manifest
from tasks.sequence.timeline import Cut
from tasks.sequence.verify import FilmFacts
from tasks.storyboard.model import Shot, Storyboard

NOON = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)
FILM = FilmFacts(
    frames=121,
    duration_s=Decimal("5.042"),
    width=1280,
    height=720,
    rate=Fraction(24),
    has_sound=False,
    size_bytes=1000,
    sha256="f" * 64,
)


@pytest.fixture
def plan() -> Plan:
    shots = (Shot(id="a", prompt="a ring bearer walks"),)
    board = Storyboard("Harbour", "klingai:kling@o1-standard", 1280, 720, shots)
    return build_plan(board, {}, "runware")


def attempt_at(plan: Plan, state: State, **facts: Any) -> Attempt:
    values: dict[str, Any] = {
        "task_uuid": f"uuid-{state}",
        "number": 1,
        "provider": "runware",
        "account": "fingerprint",
        "run_id": "run",
        "storyboard": "Harbour",
        "shot": "a",
        "take": 1,
        "model": plan.model,
        "content_key": plan.shots[0].takes[0].content_key,
        "state": state,
        "request": {},
        "reserved_usd": Decimal("0.42"),
        "cost_usd": None,
        "charged": None,
        "posts": 1,
        "result": {"videoURL": "https://cdn.test/v.mp4?token=5ecret"},
        "error": None,
        "error_code": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Attempt(**{**values, **facts})


@pytest.fixture
def manifest(plan: Plan) -> dict[str, Any]:
    key = plan.shots[0].takes[0].content_key
    origin = Origin("runware", plan.model, "uuid-stored", "video", Decimal("0.420"), 7, nsfw=False)
    clip = Clip(key, Path("clip.mp4"), "c" * 64, 500, 121, 1280, 720, Fraction(24), False, origin)
    failed = ProviderFailed("sorry, Authorization: Bearer abc123456", code="inferenceError")
    return build_manifest(
        run_id="run",
        plan=plan,
        takes=[Taken("a", 1, clip, reused=False, paid_usd=Decimal("0.42"))],
        totals=Totals(reserved_usd=Decimal(0), spent_usd=Decimal("0.42"), unknown_usd=Decimal("0.42")),
        cuts={"a": Cut(shot="a", clip=Path("clip.mp4"), clip_id="c" * 64, start=0, stop=121, frames=121)},
        attempts=[
            attempt_at(plan, State.FAILED, error=failed.as_dict(), charged=Charged.UNKNOWN),
            attempt_at(plan, State.STORED, cost_usd=Decimal("0.42"), charged=Charged.YES, submitted_at=NOON),
        ],
        begins={"a": 0},
        film=FILM,
        film_name="harbor.mp4",
        timings=Timings(NOON, NOON, None, NOON),
        warnings=["a warning"],
    )


def test_what_is_missing_is_told_with_its_error_and_its_attempts(plan: Plan) -> None:
    failed = ContentRefused("refused", code="contentPolicyViolation", parameter="positivePrompt")
    facts: dict[str, Any] = {
        "run_id": "run",
        "plan": plan,
        "takes": [],
        "totals": Totals(Decimal(0), Decimal(0), Decimal(0)),
        "cuts": {},
        "attempts": [attempt_at(plan, State.REFUSED, error=failed.as_dict(), charged=Charged.NO)],
        "film_name": "harbor.mp4",
        "timings": Timings(NOON, NOON, None, None),
        "warnings": [],
        "failures": {"a": failed},
    }
    told = build_manifest(film=None, **facts)
    assert (told["complete"], told["film"]) == (False, None)
    (shot,) = told["shots"]
    assert (shot["film"], shot["error"]["parameter"]) == (None, "positivePrompt")
    (take,) = shot["takes"]
    assert (take["made"], take["content_key"]) == (False, plan.shots[0].takes[0].content_key)
    assert [attempt["state"] for attempt in take["attempts"]] == ["refused"]
    # With a film, a slate stands in its place.
    slate = build_manifest(film=FILM, begins={"a": 48}, **facts)["shots"][0]["film"]
    assert slate == {"slate": True, "begin_frame": 48, "frames": 121}


def test_cards_are_told_with_what_the_film_shows_of_them(plan: Plan, manifest: dict[str, Any]) -> None:
    card = PlannedCard("end card", ("The End", "by us"), "#000000", None, None, 36)
    cut = Cut(shot=card.id, clip=Path("card.mp4"), clip_id="card", start=0, stop=36, frames=36, lead=12)

    told = build_manifest(
        run_id="run",
        plan=replace(plan, end_card=card),
        takes=[],
        totals=Totals(reserved_usd=Decimal(0), spent_usd=Decimal(0), unknown_usd=Decimal(0)),
        cuts={},
        cards={card.id: cut},
        begins={"a": 0, card.id: 109},
        attempts=[],
        film=FILM,
        film_name="harbor.mp4",
        timings=Timings(NOON, NOON, None, NOON),
        warnings=[],
    )

    shown = {"begin_frame": 109, "first_frame": 0, "last_frame": 35, "frames": 36, "overlap_frames": 12}
    assert told["cards"] == [
        {"id": "end card", "text": ["The End", "by us"], "film": {**shown, "fade_in_frames": 0, "fade_out_frames": 0}}
    ]
    assert told["plan"]["end_card"]["begin_frame"] == 121
    assert manifest["cards"] == []


def test_it_is_json_and_dollars_are_strings(manifest: dict[str, Any]) -> None:
    assert json.loads(json.dumps(manifest)) == manifest
    assert (manifest["cost_usd"], manifest["unknown_usd"]) == ("0.42", "0.42")
    assert manifest["complete"] is True
    (shot,) = manifest["shots"]
    assert shot["error"] is None
    (take,) = shot["takes"]
    assert (take["cost_usd"], take["paid_usd"]) == ("0.42", "0.42")


def test_the_film_is_named_with_its_sha256(manifest: dict[str, Any]) -> None:
    assert manifest["film"] == {
        "file": "harbor.mp4",
        "sha256": "f" * 64,
        "size_bytes": 1000,
        "frames": 121,
        "duration_s": 5.042,
        "width": 1280,
        "height": 720,
        "fps": 24,
        "has_sound": False,
        "loudness": None,
        "seam": "conform",
        "copied_frames": 0,
    }
    assert manifest["shots"][0]["film"] == {
        "begin_frame": 0,
        "first_frame": 0,
        "last_frame": 120,
        "frames": 121,
        "overlap_frames": 0,
        "fade_in_frames": 0,
        "fade_out_frames": 0,
    }


def test_every_attempt_is_told(manifest: dict[str, Any]) -> None:
    failed, stored = manifest["shots"][0]["takes"][0]["attempts"]
    assert (failed["state"], failed["charged"], failed["cost_usd"]) == ("failed", "unknown", None)
    assert failed["error"]["code"] == "inferenceError"
    assert (stored["state"], stored["cost_usd"], stored["submitted_at"]) == (
        "stored",
        "0.42",
        "2026-05-01T12:00:00.123Z",
    )


def test_it_holds_no_secret_and_changes_no_prompt(manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest)
    assert "abc123456" not in text
    assert "5ecret" not in text
    assert "a ring bearer walks" in text
