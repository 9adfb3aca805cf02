"""What is published already: whether a film in its place is the one that a plan would make."""

from __future__ import annotations

import json
from typing import Any

from tasks.plan.model import Plan
from tasks.publish.manifest import FORMAT
from tasks.publish.targets import Targets
from tasks.redaction import redact

__all__ = ["is_published", "read_manifest"]

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
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None


def is_published(targets: Targets, plan: Plan) -> dict[str, Any] | None:
    """The manifest of a film that is published and whole and what this plan would make again; else None. Blocks.

    Two plans make the same film if they agree in everything but the storyboard's place, the prices and the warnings:
    each take by its content key, what the film shows of it, and how it is laid out.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    told = read_manifest(targets)
    if told is None or told.get("complete") is not True or not isinstance(told.get("film"), dict):
        return None
    if _film_of(told.get("plan")) != _film_of(json.loads(json.dumps(redact(plan.as_dict())))):
        return None
    return told if targets.film.size() == told["film"].get("size_bytes") else None


def _film_of(plan: object) -> object:
    if not isinstance(plan, dict):
        return None
    shots = [
        {name: value for name, value in shot.items() if name not in _BESIDE}
        for shot in plan.get("shots", ())
        if isinstance(shot, dict)
    ]
    return {**{name: value for name, value in plan.items() if name not in _BESIDE}, "shots": shots}
