"""What is published already: whether a film in its place is the one that a plan would make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.deliver.presets import Container, Preset
from tasks.plan.model import Plan
from tasks.publish.manifest import FORMAT
from tasks.publish.sidecars import are_whole
from tasks.publish.targets import Targets
from tasks.redaction import redact
from tasks.settings import DEFAULT_FINISH, Finish

__all__ = ["film_digest", "is_published", "is_whole", "read_manifest"]

# What a plan says beside what the film is: where its storyboard lies, what it costs, how long it takes.
_BESIDE = {"storyboard", "cost_usd", "critical_path_s", "warnings", "unpinned"}


def read_manifest(targets: Targets) -> dict[str, Any] | None:
    """The manifest that is in its place; None where there is none that could be read. Blocks.

    Raises:
        SettingsError: Its kind of storage is not known or not installed.
        StorageUnreachable: The storage does not answer.
    """
    content = targets.manifest.read_bytes()
    try:
        told = json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None


def is_published(
    targets: Targets,
    plan: Plan,
    finish: Finish = DEFAULT_FINISH,
    presets: Sequence[Preset] = (),
    *,
    signed: bool = False,
) -> dict[str, Any] | None:
    """The manifest of a film that is published and whole and what this plan would make again; else None. Blocks.

    Two plans make the same film if they agree in everything but the storyboard's place, the prices and the warnings:
    each take by its content key, what the film shows of it, and how it is laid out; and they are finished alike, their
    deliverables made by `presets` included. With `signed`, a film that is not signed is not the one.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    told = read_manifest(targets)
    if told is None or told.get("complete") is not True or _film_of(told.get("plan")) != _planned(plan):
        return None
    if told.get("finish") != finish.as_dict() or _delivered(told.get("deliverables")) != _to_deliver(presets):
        return None
    if signed and not _is_signed(told):
        return None
    return told if is_whole(targets, told) else None


def is_whole(targets: Targets, manifest: Mapping[str, Any]) -> bool:
    """Whether the film that a manifest tells of is in its place, as long as it says, with what goes beside it. Blocks.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    film = manifest.get("film")
    size_bytes = film.get("size_bytes") if isinstance(film, dict) else None
    return size_bytes is not None and targets.film.size() == size_bytes and are_whole(targets, manifest)


def _is_signed(manifest: Mapping[str, Any]) -> bool:
    """Whether all that can be is: the film, and of its deliverables those of a kind that holds credentials."""
    listed = manifest.get("deliverables")
    delivered = [it for it in listed if isinstance(it, dict)] if isinstance(listed, list) else []
    unable = [str(container) for container in Container if not container.is_signable]
    able = [it for it in delivered if it.get("container") not in unable]
    told = [manifest.get("provenance"), *able]
    return all(isinstance(it, dict) and it.get("signed") is True for it in told)


def film_digest(plan: Plan, finish: Finish = DEFAULT_FINISH, presets: Sequence[Preset] = ()) -> str:
    """What film a plan makes, as a hash: the same for plans that make the same film, as `is_published` sees it."""
    made_of = [_planned(plan), finish.as_dict(), _to_deliver(presets)]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _to_deliver(presets: Sequence[Preset]) -> dict[str, Any]:
    """What each deliverable that is asked for is to be: a preset of the same name may have changed."""
    return {preset.name: preset.as_dict() for preset in presets}


def _delivered(told: object) -> object:
    """What each deliverable is that a manifest tells of."""
    listed = [it for it in told if isinstance(it, dict)] if isinstance(told, list) else []
    return {it.get("preset"): it.get("settings") for it in listed if isinstance(it.get("preset"), str)}


def _planned(plan: Plan) -> object:
    """What film a plan makes, as the manifest would tell of it."""
    return _film_of(json.loads(json.dumps(redact(plan.as_dict()))))


def _film_of(plan: object) -> object:
    shots = plan.get("shots") if isinstance(plan, dict) else None
    if not isinstance(plan, dict) or not isinstance(shots, list) or not all(isinstance(shot, dict) for shot in shots):
        return None
    told = [{name: value for name, value in shot.items() if name not in _BESIDE} for shot in shots]
    return {**{name: value for name, value in plan.items() if name not in _BESIDE}, "shots": told}
