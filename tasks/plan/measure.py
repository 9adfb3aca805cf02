"""Decides what each shot is made of and how long it is, or says why that cannot be.

Shots are looked at in the order in which they can be made: an edit of another shot's clip is as long as that clip, and
the frame from which a shot continues is the last one that the other keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tasks.errors import Problem
from tasks.plan.boundaries import Joined
from tasks.plan.catalog import Mode, ModelSpec
from tasks.plan.lengths import Length, default_length_s, edit_length, generated_length, seconds_of
from tasks.plan.model import LAST, ClipFrame, Input, Role, WholeClip
from tasks.plan.modes import decide_mode, is_settled
from tasks.rounding import milliseconds
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import ClipOf, FrameOf, MediaFile, Picture, Shot, Storyboard, Video

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A shot whose mode, inputs and length are settled."""

    joined: Joined
    mode: Mode
    inputs: tuple[Input, ...]
    length: Length


def measure(
    storyboard: Storyboard,
    in_order: Iterable[Joined],
    spec: ModelSpec,
    facts: Callable[[MediaFile], InputFacts | None],
) -> tuple[dict[str, Measured], list[Problem]]:
    """Measure the shots of a film; those whose mode is in doubt are left out.

    Args:
        storyboard: The film.
        in_order: Its shots, each after those that it takes frames or clips of.
        spec: The model.
        facts: What is known of a file.

    Returns:
        The shots by id, and every mistake. Whoever needs a shot that could not be measured is not measured either, and
        not blamed for it. The shots are to be used only if there are no mistakes.
    """
    measuring = _Measuring(storyboard, spec, facts)
    for joined in in_order:
        if is_settled(storyboard, joined, spec):
            measuring.measure(joined)
    return measuring.measured, measuring.problems


class _Measuring:
    """One measuring of one film."""

    def __init__(
        self, storyboard: Storyboard, spec: ModelSpec, facts: Callable[[MediaFile], InputFacts | None]
    ) -> None:
        self.storyboard = storyboard
        self.spec = spec
        self.facts = facts
        self.measured: dict[str, Measured] = {}
        self.problems: list[Problem] = []

    def measure(self, joined: Joined) -> None:
        shot, mode = joined.shot, decide_mode(joined)
        follows_source = self.spec.modes[mode].follows_source
        length = self._source_length(shot) if follows_source else self._generated_length(joined, mode)
        if length is None or any(need not in self.measured for need in joined.needs):
            return  # this shot, or one that it needs, has said why
        if joined.seam and length.kept_frames == 1:
            least_s = Fraction(1, 2) / self.spec.frames.rate
            self._refuse(
                shot,
                "duration",
                "nothing is left of the shot in the film: its only frame is the one shared with the shot before",
                f"a duration of at least {milliseconds(least_s + Fraction(1, 2000))} s",
            )
        self.measured[shot.id] = Measured(joined, mode, tuple(self._inputs(joined)), length)

    # -- lengths ---------------------------------------------------------------------------------------------------

    def _generated_length(self, joined: Joined, mode: Mode) -> Length | None:
        shot, spec = joined.shot, self.spec
        choices = spec.modes[mode].choices_s
        default_s = default_length_s(spec.default_duration_s, choices)
        wanted_s = default_s if shot.duration_s is None else shot.duration_s
        length = generated_length(wanted_s, choices, spec.frames.rate, spec.frames.extra)
        if length is None:
            self._refuse(
                shot,
                "duration",
                f"{wanted_s} s is longer than a shot of {spec.name} in mode '{mode.replace('_', ' ')}' can be",
                f"at most {choices[-1]} s; split it into shots with 'boundary: continue'",
            )
        elif length.last_kept is not None and joined.last is not None:
            self._refuse(
                shot,
                "duration",
                f"a shot of {wanted_s} s is trimmed from {length.generate_s} s, and would lose the last frame from "
                f"{joined.last_from}",
                f"{' or '.join(str(choice) for choice in choices)} s, or no last frame",
            )
            return None
        return length

    def _source_length(self, shot: Shot) -> Length | None:
        if isinstance(shot.video, ClipOf) and shot.video.shot not in self.measured:
            return None
        source_s = self._source_s(shot.video)
        if source_s is None:
            self._refuse(
                shot,
                "video",
                "the length of the source video decides what the edit costs, and cannot be read",
                "'source_duration' (seconds) on the asset",
            )
            return None
        length = edit_length(source_s, shot.duration_s, self.spec.frames.rate)
        if length is None:
            self._refuse(
                shot,
                "duration",
                f"an edit is as long as its source, and {shot.duration_s} s is longer than that",
                f"at most {source_s} s, or 'duration: null' for all of it",
            )
        return length

    def _source_s(self, video: Video | None) -> Decimal | None:
        if isinstance(video, ClipOf):
            return seconds_of(self.measured[video.shot].length.clip_frames, self.spec.frames.rate)
        if video is None:
            return None
        facts = self.facts(video)
        known_s = (facts.duration_s if facts is not None else None) or video.source_duration_s
        return None if known_s is None else milliseconds(known_s)

    def _refuse(self, shot: Shot, key: str, message: str, accepted: str) -> None:
        self.problems.append(self.storyboard.problem(shot, key, message, accepted))

    # -- inputs ----------------------------------------------------------------------------------------------------

    def _inputs(self, joined: Joined) -> list[Input]:
        shot = joined.shot
        inputs: list[Input] = []

        def add(role: Role, source: Picture | Video | None) -> None:
            if source is not None:
                inputs.append(Input(role, self._source(source)))

        add("first_frame", joined.first)
        add("last_frame", joined.last)
        for picture in shot.reference_images:
            add("reference_image", picture)
        for video in shot.reference_videos:
            add("reference_video", video)
        add("video", shot.video)
        return inputs

    def _source(self, source: Picture | Video) -> MediaFile | ClipFrame | WholeClip:
        match source:
            case FrameOf(shot, "first"):
                return ClipFrame(shot, 0)
            case FrameOf(shot, _):
                last_kept = self.measured[shot].length.last_kept
                return ClipFrame(shot, LAST if last_kept is None else last_kept)
            case ClipOf(shot):
                return WholeClip(shot)
            case MediaFile():
                return source
