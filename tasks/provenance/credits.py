"""What is said of a film's origin. Pure: a plan and what came of it, to the words of IPTC and C2PA."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tasks.clips.store import Clip
from tasks.plan.model import Plan, PlannedShot, WholeClip
from tasks.settings import Finish

__all__ = ["Credits", "Ingredient", "SourceType", "credits_of"]

_SCHEME: Final = "http://cv.iptc.org/newscodes/digitalsourcetype"
_RECORDINGS: Final = {"video": "edits a video of your own", "reference_video": "takes a video of your own as reference"}


class SourceType(StrEnum):
    """How a film came to be, as IPTC's vocabulary of digital source types has it."""

    GENERATED = f"{_SCHEME}/trainedAlgorithmicMedia"
    COMPOSITE = f"{_SCHEME}/compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A clip that a film shows: the ids of its shots, its file, and that file's sha256."""

    title: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Credits:
    """What made a film. `because` says what in it is not the model's own, and is empty where all is.

    `provider` is who ran the model, in the ledger's words: `emulator` drew placeholders in the model's name.
    """

    title: str
    model: str
    provider: str
    because: tuple[str, ...]
    ingredients: tuple[Ingredient, ...]

    @property
    def source_type(self) -> SourceType:
        """One that is the model's own throughout is generated; every other one is a composite."""
        return SourceType.COMPOSITE if self.because else SourceType.GENERATED


def credits_of(plan: Plan, clips: Mapping[str, Clip], slates: Collection[str], finish: Finish) -> Credits:
    """What is to be said of a film.

    Args:
        plan: What was asked for.
        clips: The clip that the film shows of a shot, by the shot's id.
        slates: The shots that it shows a slate for.
        finish: How its clips became a film.
    """
    return Credits(
        title=plan.title,
        model=plan.model,
        provider=plan.provider,
        because=tuple(_not_generated(plan, slates, finish)),
        ingredients=tuple(_ingredients([(shot.id, clips[shot.id]) for shot in plan.shots if shot.id in clips])),
    )


def _not_generated(plan: Plan, slates: Collection[str], finish: Finish) -> list[str]:
    found = [f"shot '{shot.id}' {why}" for shot in plan.shots for why in _recordings(shot)]
    found += [f"shot '{shot.id}' is a slate" for shot in plan.shots if shot.id in slates]
    found += [f"the {card.id} is drawn" for card in plan.cards]
    if plan.music is not None:
        found.append("the music is your own")
    if any(shot.narration is not None for shot in plan.shots):
        found.append("the narration is your own")
    if finish.burn_captions and any(shot.caption for shot in plan.shots):
        found.append("captions are drawn into the pictures")
    return found


def _recordings(shot: PlannedShot) -> list[str]:
    """Videos that were given and not made here. A still, or a clip of another shot, makes no composite."""
    roles = {part.role for part in shot.inputs if not isinstance(part.source, WholeClip)}
    return [why for role, why in _RECORDINGS.items() if role in roles]


def _ingredients(shown: Sequence[tuple[str, Clip]]) -> list[Ingredient]:
    """One a clip: shots of one content key show the same one."""
    by_file: dict[str, list[str]] = {}
    files: dict[str, Path] = {}
    for shot, clip in shown:
        by_file.setdefault(clip.sha256, []).append(shot)
        files[clip.sha256] = clip.path
    return [Ingredient(", ".join(shots), files[sha256], sha256) for sha256, shots in by_file.items()]
