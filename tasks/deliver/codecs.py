"""What each kind of deliverable is encoded with, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tasks.deliver.presets import PROFILES, Codec, Container, Preset

__all__ = ["CODINGS", "SOUNDS", "VERSION", "WORDS", "Coding", "SoundCoding", "encoders_of", "options_of"]

# Raise it when the same preset begins to give other files.
VERSION: Final = 2

_KEYFRAMES_S: Final = 2


@dataclass(frozen=True, slots=True)
class Coding:
    """One way to code pictures: ffmpeg's encoder, its options, and what a decoder then calls codec and pixels."""

    encoder: str
    decoded_as: str
    pix_fmt: str
    options: Mapping[str, str | int] = field(default_factory=dict)
    # The option that takes the preset's quality or its profile.
    quality: str | None = None


# How long each takes is in docs/deliverables.md. Of the encoders of ProRes this one is four times as fast, and as good.
CODINGS: Final[Mapping[Codec, Coding]] = {
    Codec.H264: Coding("libx264", "h264", "yuv420p", {"preset": "medium"}, "crf"),
    # The tag is the one under which Apple's players take H.265.
    Codec.H265: Coding(
        "libx265", "hevc", "yuv420p", {"preset": "medium", "x265-params": "log-level=error", "tag:v": "hvc1"}, "crf"
    ),
    Codec.AV1: Coding("libsvtav1", "av1", "yuv420p", {"preset": 8}, "crf"),
    Codec.VP9: Coding(
        "libvpx-vp9", "vp9", "yuv420p", {"b:v": 0, "deadline": "good", "cpu-used": 4, "row-mt": 1}, "crf"
    ),
    Codec.PRORES: Coding("prores_aw", "prores", "yuv422p10le", {"vendor": "apl0"}, "profile:v"),
    Codec.GIF: Coding("gif", "gif", "pal8", {"loop": 0}),
    # Each picture is coded by itself: the encoder of whole animations leaves out pictures that are alike.
    Codec.WEBP: Coding("libwebp", "webp", "bgra", {"loop": 0}, "quality"),
}


@dataclass(frozen=True, slots=True)
class SoundCoding:
    """How sound is coded. Without an encoder, the film's own coded sound is copied."""

    decoded_as: str
    encoder: str | None = None
    options: Mapping[str, str | int] = field(default_factory=dict)


SOUNDS: Final[Mapping[Container, SoundCoding]] = {
    Container.MP4: SoundCoding("aac"),
    Container.MOV: SoundCoding("pcm_s24le", "pcm_s24le"),
    Container.WEBM: SoundCoding("opus", "libopus", {"b:a": "160k"}),
}
"""By container; previews have none."""

WORDS: Final[Mapping[Container, str]] = {Container.MP4: "mov_text", Container.MOV: "mov_text", Container.WEBM: "webvtt"}
"""What a track of captions is coded as; previews have none."""


def encoders_of(preset: Preset) -> list[str]:
    """The encoders of ffmpeg's that a deliverable takes; those of captions are always there."""
    sound = SOUNDS.get(preset.container)
    return [CODINGS[preset.codec].encoder, *([sound.encoder] if sound and sound.encoder else [])]


def options_of(preset: Preset, rate: float) -> dict[str, str | int]:
    """The encoder's options for a preset, at so many frames a second."""
    coding = CODINGS[preset.codec]
    options: dict[str, str | int] = {"vcodec": coding.encoder, "pix_fmt": coding.pix_fmt, **coding.options}
    # This encoder knows profiles by their numbers.
    value = preset.quality if preset.profile is None else PROFILES.index(preset.profile)
    if coding.quality is not None and value is not None:
        options[coding.quality] = value
    if not preset.container.is_preview and preset.codec is not Codec.PRORES:
        options["g"] = max(1, round(_KEYFRAMES_S * rate))
    return options
