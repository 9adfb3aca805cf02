"""Where shots and cards stand in the film: first frame, pictures in the row of parts, chapter, caption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import MediaError
from tasks.plan.model import Plan
from tasks.sequence.blend import Blended
from tasks.sequence.captions import Caption, lines_of
from tasks.sequence.chapters import Chapter
from tasks.sequence.conform import Conformed
from tasks.sequence.join import Stretch
from tasks.sequence.timeline import Cut

__all__ = ["Scene", "captions_of", "chapters_of", "pictures_of", "scenes_of", "total_frames"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A shot or card in the film: what it shows of a clip, what was conformed of that, and where in it it begins."""

    cut: Cut
    conformed: Conformed
    begin: int

    @property
    def end(self) -> int:
        """The frame behind its last one."""
        return self.begin + self.cut.frames


def scenes_of(parts: Iterable[tuple[Cut, Conformed]]) -> list[Scene]:
    """The film's shots in their places: each begins with the frames that it shares with the one before."""
    scenes: list[Scene] = []
    end = 0
    for cut, conformed in parts:
        scene = Scene(cut, conformed, end - cut.lead)
        scenes.append(scene)
        end = scene.end
    return scenes


def total_frames(scenes: Sequence[Scene]) -> int:
    """How long the film is, in frames."""
    return scenes[-1].end if scenes else 0


def pictures_of(scenes: Sequence[Scene], blends: Mapping[str, Blended]) -> list[Stretch]:
    """The row of files that the film's pictures are joined from.

    Args:
        scenes: The film's shots and cards.
        blends: The dissolve into a shot, by its id.

    Raises:
        MediaError: A dissolve is missing, or is of other frames than its shots.
    """
    row: list[Stretch] = []
    for scene in scenes:
        cut = scene.cut
        if cut.lead:
            blend = blends.get(cut.shot)
            if blend is None or blend.frames != cut.lead:
                raise MediaError("the dissolve into this shot is missing", shot=cut.shot)
            row.append(Stretch(blend.picture, blend.frames))
        row.append(Stretch(scene.conformed.picture, cut.body))
    return row


def captions_of(plan: Plan, scenes: Sequence[Scene]) -> list[Caption]:
    """Each shot's caption, from its first frame until the next shot begins."""
    ends = [scene.begin for scene in scenes[1:]] + [total_frames(scenes)]
    words = {scene.id: scene.caption for scene in plan.scenes}
    told = ((scene, end, words.get(scene.cut.shot)) for scene, end in zip(scenes, ends, strict=True))
    return [Caption(scene.begin, end, text) for scene, end, text in told if text and lines_of(text)]


def chapters_of(scenes: Sequence[Scene]) -> list[Chapter]:
    """A chapter a shot or card, by its id; none for a film of one."""
    if len(scenes) < 2:
        return []
    return [Chapter(scene.begin, scene.cut.shot) for scene in scenes]
