"""Decides a shot's mode from its inputs, and checks what the mode and the model allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from tasks.errors import Problem
from tasks.plan.boundaries import Joined
from tasks.plan.catalog import Mode, ModelSpec
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import ClipOf, MediaFile, Shot, Storyboard

__all__ = ["check_film", "check_shot", "decide_mode", "is_settled"]

_KEYS = {
    Mode.TEXT: "prompt",
    Mode.FRAMES: "first_frame",
    Mode.REFERENCE_IMAGES: "reference_images",
    Mode.REFERENCE_VIDEOS: "reference_videos",
    Mode.EDIT: "video",
}
_VIDEO_FORMATS = {
    "video/mp4": "MP4",
    "video/quicktime": "MOV",
    "video/webm": "WEBM",
    "video/x-matroska": "Matroska",
    "video/x-msvideo": "AVI",
    "video/mp2t": "MPEG-TS",
}
"""What the catalog calls a media type; as for output formats."""


def decide_mode(joined: Joined) -> Mode:
    """The mode that the inputs of a shot ask for; `check_shot` says whether they may stand together."""
    shot = joined.shot
    if shot.video is not None:
        return Mode.EDIT
    if shot.reference_videos:
        return Mode.REFERENCE_VIDEOS
    if joined.first is not None or joined.last is not None:
        return Mode.FRAMES
    return Mode.REFERENCE_IMAGES if shot.reference_images else Mode.TEXT


def check_film(storyboard: Storyboard, spec: ModelSpec) -> Iterator[Problem]:
    """What is wrong with the storyboard as a whole for this model."""
    size = f"{storyboard.width}x{storyboard.height}"
    if size not in spec.sizes:
        yield Problem(
            f"{spec.name} does not make {size}",
            file=storyboard.file,
            line=storyboard.lines.get("size", storyboard.lines.get("model")),
            key="size",
            accepted=", ".join(spec.sizes),
        )


def check_shot(
    storyboard: Storyboard,
    joined: Joined,
    spec: ModelSpec,
    prompt: str,
    facts: Callable[[MediaFile], InputFacts | None],
) -> Iterator[Problem]:
    """Every rule of the model that this shot breaks, at the line that breaks it."""
    mode, clashes = decide_mode(joined), list(_exclusions(storyboard, joined))
    if clashes:
        yield from clashes
    elif mode not in spec.modes:
        yield storyboard.problem(
            joined.shot,
            _KEYS[mode],
            f"{spec.name} has no mode '{_words(mode)}'",
            ", ".join(_words(known) for known in spec.modes),
        )
    else:
        yield from _check_inputs(storyboard, joined, spec, mode)
    yield from _check_prompt(storyboard, joined.shot, spec, prompt)
    yield from _check_output(storyboard, joined.shot, spec)
    yield from _check_files(storyboard, joined.shot, spec, facts)


def is_settled(storyboard: Storyboard, joined: Joined, spec: ModelSpec) -> bool:
    """Whether the mode of a shot is beyond doubt, so that more can be said about it, whatever else is wrong."""
    return decide_mode(joined) in spec.modes and not any(_exclusions(storyboard, joined))


def _words(mode: Mode) -> str:
    return mode.replace("_", " ")


def _exclusions(storyboard: Storyboard, joined: Joined) -> Iterator[Problem]:
    """One problem for each pair of inputs that exclude each other; both frames together are one side of a pair."""
    shot = joined.shot
    frames = [
        said
        for said, frame in ((joined.first_from, joined.first), (joined.last_from, joined.last))
        if frame is not None
    ]
    pairs: list[tuple[str, str]] = []
    if frames:
        others = {
            "reference_images": bool(shot.reference_images),
            "reference_videos": bool(shot.reference_videos),
            "video": shot.video is not None,
        }
        pairs = [(" with ".join(frames), key) for key, given in others.items() if given]
    if shot.reference_videos and shot.video is not None:
        pairs.append(("'reference_videos'", "video"))
    for one, other in pairs:
        yield storyboard.problem(
            shot, other, f"{one} and '{other}' exclude each other", f"a shot with {one}, or one with '{other}'"
        )


def _check_inputs(storyboard: Storyboard, joined: Joined, spec: ModelSpec, mode: Mode) -> Iterator[Problem]:
    shot, rules = joined.shot, spec.modes[mode]
    if joined.last is not None and joined.first is None and rules.last_needs_first:
        before = "" if shot is storyboard.shots[0] else ", or 'boundary: continue' or 'match' with the shot before"
        yield storyboard.problem(
            shot,
            "last_frame",
            f"{'a last frame' if shot.last_frame else f'the last frame from {joined.last_from}'} needs a first frame",
            f"'first_frame' too{before}",
        )
    if not rules.images.holds(len(shot.reference_images)):
        beside = {Mode.EDIT: " beside 'video'", Mode.REFERENCE_VIDEOS: " beside 'reference_videos'"}.get(mode, "")
        yield storyboard.problem(
            shot,
            "reference_images",
            f"there cannot be {len(shot.reference_images)} reference images{beside}",
            f"{rules.images} reference images{beside}",
        )
    if shot.keep_original_sound and mode not in {Mode.EDIT, Mode.REFERENCE_VIDEOS}:
        yield storyboard.problem(
            shot,
            "keep_original_sound",
            "there is no original sound to keep without 'video' or 'reference_videos'",
            "'keep_original_sound' in a shot with 'video' or 'reference_videos'",
        )


def _check_prompt(storyboard: Storyboard, shot: Shot, spec: ModelSpec, prompt: str) -> Iterator[Problem]:
    if not spec.prompt.min_chars <= len(prompt) <= spec.prompt.max_chars:
        with_style = " with the storyboard's style" if storyboard.style else ""
        yield storyboard.problem(
            shot,
            "prompt",
            f"the prompt{with_style} has {len(prompt)} characters",
            f"{spec.prompt.min_chars} to {spec.prompt.max_chars} characters{with_style}",
        )


def _check_output(storyboard: Storyboard, shot: Shot, spec: ModelSpec) -> Iterator[Problem]:
    output = spec.output
    if shot.output_format is not None and shot.output_format not in output.formats:
        yield storyboard.problem(
            shot, "output_format", f"no output format '{shot.output_format}'", ", ".join(output.formats)
        )
    if shot.output_quality is not None and not output.quality.holds(shot.output_quality):
        yield storyboard.problem(
            shot, "output_quality", f"output quality {shot.output_quality} is out of range", str(output.quality)
        )
    if shot.ttl is not None and not output.ttl_s.holds(shot.ttl):
        yield storyboard.problem(shot, "ttl", f"a ttl of {shot.ttl} seconds is out of range", f"{output.ttl_s} seconds")
    mode = (shot.safety or {}).get("mode")
    if mode is not None and mode not in output.safety_modes:
        yield storyboard.problem(shot, "safety", f"no safety mode '{mode}'", ", ".join(output.safety_modes))


def _check_files(
    storyboard: Storyboard, shot: Shot, spec: ModelSpec, facts: Callable[[MediaFile], InputFacts | None]
) -> Iterator[Problem]:
    pictures = [("first_frame", shot.first_frame), ("last_frame", shot.last_frame)]
    pictures += [(f"reference_images[{at}]", picture) for at, picture in enumerate(shot.reference_images)]
    for key, picture in pictures:
        if isinstance(picture, MediaFile) and (fact := facts(picture)) and fact.sha256:
            for message, accepted in _picture_faults(fact, spec):
                yield storyboard.problem(shot, key, f"{_name(picture)}: {message}", accepted)
    videos = [("video", shot.video)]
    videos += [(f"reference_videos[{at}]", video) for at, video in enumerate(shot.reference_videos)]
    for key, video in videos:
        if isinstance(video, MediaFile):
            for message, accepted in _video_faults(facts(video), video.source_duration_s, spec):
                yield storyboard.problem(shot, key, f"{_name(video)}: {message}", accepted)
        elif isinstance(video, ClipOf):
            made = storyboard.shot(video.shot).output_format or spec.output.default_format
            if made not in spec.videos.formats:
                formats = " or ".join(spec.videos.formats)
                yield storyboard.problem(
                    shot,
                    key,
                    f"the clip of '{video.shot}' is a {made}, and cannot be an input",
                    f"'output_format: {formats}' of '{video.shot}'",
                )


def _picture_faults(fact: InputFacts, spec: ModelSpec) -> Iterator[tuple[str, str]]:
    limits = spec.pictures
    kind = (fact.media_type or "").removeprefix("image/").upper()
    if kind not in limits.formats:
        yield f"a {kind or 'unknown'} picture", " or ".join(limits.formats)
    if fact.size_bytes is not None and fact.size_bytes > limits.max_bytes:
        yield f"{fact.size_bytes:,} bytes are too many", f"at most {limits.max_bytes:,} bytes"
    if fact.width and fact.height:
        if min(fact.width, fact.height) < limits.min_side_px:
            yield (
                f"{fact.width}x{fact.height} pixels are too few",
                f"at least {limits.min_side_px} pixels a side",
            )
        elif Decimal(max(fact.width, fact.height)) / min(fact.width, fact.height) > limits.max_aspect:
            yield (
                f"{fact.width}x{fact.height} is too narrow",
                f"no side longer than {limits.max_aspect} times the other",
            )


def _video_faults(fact: InputFacts | None, stated_s: Decimal | None, spec: ModelSpec) -> Iterator[tuple[str, str]]:
    limits = spec.videos
    if fact is not None and fact.media_type is not None:
        kind = _VIDEO_FORMATS.get(fact.media_type)
        if kind not in limits.formats:
            yield f"a video of format {kind}" if kind else "a video of an unknown format", " or ".join(limits.formats)
    size_bytes = fact.size_bytes if fact else None
    length_s = (fact.duration_s if fact else None) or stated_s
    if size_bytes is not None and size_bytes > limits.max_bytes:
        yield f"{size_bytes:,} bytes are too many", f"at most {limits.max_bytes:,} bytes"
    if length_s is not None and not limits.min_s <= length_s <= spec.longest_video_s:
        yield f"a video of {length_s} s", f"{limits.min_s} to {limits.max_s} s"


def _name(media: MediaFile) -> str:
    return f"asset '{media.asset}'" if media.asset else media.uri.rsplit("/", 1)[-1][:80]
