"""What is meant where a value says less than it could: a transition without its length, music without its gain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from tasks.storyboard.document import EndingDocument, MusicDocument, SafetyDocument, TransitionDocument
from tasks.storyboard.model import DEFAULT_LOUDNESS_LUFS, MediaFile, Music, Transition, TransitionKind

__all__ = [
    "DEFAULT_CARD_S",
    "DEFAULT_ENDING_S",
    "DEFAULT_FADE_OUT_S",
    "DEFAULT_TRANSITION_S",
    "ending_of",
    "loudness_of",
    "music_of",
    "safety_of",
    "transition_of",
]

DEFAULT_TRANSITION_S: Final = Decimal("0.5")
DEFAULT_ENDING_S: Final = Decimal(1)
DEFAULT_FADE_OUT_S: Final = Decimal(2)
"""How long music fades at the film's end."""
DEFAULT_CARD_S: Final = Decimal(3)


def transition_of(document: TransitionDocument, *, is_default: bool) -> Transition | None:
    """The transition that is written; None for a cut. `is_default` if it is the defaults' and not the shot's own."""
    kind = TransitionKind(document.kind)
    if kind is TransitionKind.CUT:
        return None
    duration_s = document.duration or DEFAULT_TRANSITION_S
    return Transition(kind, duration_s, is_default)


def ending_of(document: EndingDocument | None) -> Transition | None:
    """How the film ends; None where it just ends."""
    if document is None or document.kind == "cut":
        return None
    return Transition(TransitionKind.FADE, document.duration or DEFAULT_ENDING_S, is_default=False)


def music_of(document: MusicDocument, file: MediaFile) -> Music:
    """Music of `file`, which the document names."""
    fade_out_s = DEFAULT_FADE_OUT_S if document.fade_out is None else document.fade_out
    return Music(file, document.gain_db or Decimal(0), fade_out_s, document.duck_db or Decimal(0))


def loudness_of(written: Decimal | Literal["off"] | None) -> Decimal | None:
    """LUFS that a film is brought to; None to leave its sound as it is."""
    if written is None:
        return DEFAULT_LOUDNESS_LUFS
    return None if written == "off" else written


def safety_of(document: SafetyDocument) -> dict[str, object] | None:
    """Content checks under the provider's names; None where nothing is said of them."""
    check = document.check_content if document.check_content is not None else document.check_content_as_sent
    said = {"checkContent": check, "mode": document.mode}
    return {name: value for name, value in said.items() if value is not None} or None
