"""A film that is published is known again, as long as its storyboard says the same of it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.deliver.choice import chosen_presets
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.publish.manifest import FORMAT
from tasks.publish.published import film_digest, is_published, read_manifest
from tasks.publish.targets import DeliverableKind, SidecarKind, Targets, targets_of
from tasks.settings import Finish
from tasks.storyboard.read import read_storyboard

BOARD = "title: Harbour\nshots: [{id: a, prompt: A lake, duration: 2, takes: 2}, {id: b, prompt: A hill}]"


def plan_of(text: str = BOARD, provider: str = "emulator") -> Plan:
    return build_plan(read_storyboard(text), {}, provider)


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    return targets_of(str(tmp_path / "harbour.mp4"))


def put(targets: Targets, made_from: Plan, **other: Any) -> None:
    targets.film.put_bytes(b"a film")
    film = {"file": "harbour.mp4", "size_bytes": 6}
    told = {
        "format": FORMAT,
        "complete": True,
        "film": film,
        "finish": Finish().as_dict(),
        "plan": made_from.as_dict(),
        **other,
    }
    targets.manifest.put_bytes(json.dumps(told).encode())


def test_the_same_storyboard_makes_the_same_film(targets: Targets) -> None:
    put(targets, plan_of(), run_id="night")

    told = is_published(targets, plan_of())
    assert told is not None
    assert told["run_id"] == "night"


def test_neither_its_place_nor_its_price_is_part_of_the_film(targets: Targets) -> None:
    plan = plan_of()
    put(targets, plan)
    dearer = tuple(replace(shot, price_usd=Decimal("9.99")) for shot in plan.shots)

    other = replace(plan, file="elsewhere.yaml", warnings=("beware",), shots=dearer)
    assert is_published(targets, other) is not None
    assert film_digest(other) == film_digest(plan)


@pytest.mark.parametrize(
    "text",
    [
        BOARD.replace("Harbour", "Port"),
        BOARD.replace("A lake", "A pond"),
        BOARD.replace("duration: 2", "duration: 3"),
        BOARD.replace("takes: 2", "takes: 2, select: 2"),
        BOARD.replace("title", "fps: 30\ntitle"),
        BOARD.replace("title", "size: 720x1280\ntitle"),
        BOARD.replace("A hill}", "A hill, boundary: continue}"),
        BOARD.replace("A hill}", "A hill, transition: dissolve}"),
        BOARD.replace("A hill}", "A hill, fit: blur}"),
        BOARD.replace("A hill}", "A hill, gain_db: -3}"),
        BOARD.replace("A hill}", "A hill, caption: A hill}"),
        BOARD.replace("title", "loudness: -20\ntitle"),
        BOARD.replace("title", "music: s3://bucket/theme.mp3\ntitle"),
    ],
)
def test_any_other_change_makes_another_film(targets: Targets, text: str) -> None:
    put(targets, plan_of())

    assert is_published(targets, plan_of(text)) is None
    assert film_digest(plan_of(text)) != film_digest(plan_of())


@pytest.mark.parametrize("finish", [Finish("auto"), Finish(burn_captions=True)])
def test_a_film_that_is_finished_otherwise_is_another_film(targets: Targets, finish: Finish) -> None:
    put(targets, plan_of())

    assert is_published(targets, plan_of(), finish) is None
    assert film_digest(plan_of(), finish) != film_digest(plan_of())
    put(targets, plan_of(), finish=finish.as_dict())
    assert is_published(targets, plan_of(), finish) is not None


def test_a_film_without_its_deliverables_or_with_others_is_another_film(targets: Targets, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("presets: {small: {container: webm, max_width: 320}}")
    finish = Finish(deliver=("small",), deliverables=str(own))
    place = targets.sidecar(DeliverableKind("small", "webm"))
    place.put_bytes(b"small")
    presets = (preset,) = tuple(chosen_presets(finish))
    made = {"file": place.name, "sha256": "0" * 64, "size_bytes": 5, "preset": "small", "settings": preset.as_dict()}

    put(targets, plan_of(), finish=finish.as_dict(), deliverables=[])
    assert is_published(targets, plan_of(), finish, presets) is None
    put(targets, plan_of(), finish=finish.as_dict(), deliverables=[made])
    assert is_published(targets, plan_of(), finish, presets) is not None
    assert is_published(targets, plan_of()) is None
    before = film_digest(plan_of(), finish, presets)
    place.put_bytes(b"cut")
    assert is_published(targets, plan_of(), finish, presets) is None

    # The same name for something else.
    place.put_bytes(b"small")
    own.write_text("presets: {small: {container: webm, max_width: 640}}")
    presets = tuple(chosen_presets(finish))
    assert is_published(targets, plan_of(), finish, presets) is None
    assert film_digest(plan_of(), finish, presets) != before != film_digest(plan_of())


def test_a_film_is_signed_only_with_all_of_its_deliverables_that_can_be(targets: Targets) -> None:
    place = targets.sidecar(DeliverableKind("gif", "gif"))
    place.put_bytes(b"small")
    made = {"file": place.name, "sha256": "0" * 64, "size_bytes": 5, "preset": "gif", "settings": None}

    def is_signed(film: bool, delivered: bool, container: str = "gif") -> bool:
        listed = [{**made, "container": container, "signed": delivered}]
        put(targets, plan_of(), provenance={"signed": film}, deliverables=listed)
        told = read_manifest(targets)
        assert told is not None
        told["deliverables"][0].pop("preset")  # what is asked for is another test's
        targets.manifest.put_bytes(json.dumps(told).encode())
        return is_published(targets, plan_of(), signed=True) is not None

    assert is_signed(True, True)
    assert not is_signed(True, False)
    assert not is_signed(False, True)
    assert is_signed(True, False, "webm")


def test_a_film_without_what_goes_beside_it_is_not_whole(targets: Targets) -> None:
    place = targets.sidecar(SidecarKind.SRT)
    put(targets, plan_of(), sidecars=[{"file": place.name, "sha256": "0" * 64, "size_bytes": 5}])
    assert is_published(targets, plan_of()) is None

    place.put_bytes(b"words")
    assert is_published(targets, plan_of()) is not None


def test_a_placeholder_film_is_not_the_paid_one(targets: Targets) -> None:
    put(targets, plan_of())

    assert is_published(targets, plan_of(provider="runware")) is None


@pytest.mark.parametrize("other", [{"complete": False}, {"film": None}, {"format": "other"}, {"plan": None}])
def test_what_is_not_a_whole_film_counts_for_nothing(targets: Targets, other: dict[str, Any]) -> None:
    put(targets, plan_of(), **other)

    assert is_published(targets, plan_of()) is None


def test_a_film_that_is_gone_or_of_another_run_counts_for_nothing(targets: Targets) -> None:
    put(targets, plan_of())
    targets.film.put_bytes(b"another film")
    assert is_published(targets, plan_of()) is None
    targets.film.remove()
    assert is_published(targets, plan_of()) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_cannot_be_read_is_none(targets: Targets, content: bytes) -> None:
    targets.manifest.put_bytes(content)

    assert read_manifest(targets) is None
