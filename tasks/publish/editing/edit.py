"""What editors open, before any of their formats: which media is seen or heard over which frames of the film."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

from tasks.sequence.captions import Caption

__all__ = ["Edit", "Lane", "Piece", "Source", "after_cut", "before_cut", "legible", "one_line"]

Role: TypeAlias = Literal["picture", "effects", "dialogue", "music"]

# What XML has no way to write, and a lone half of a character, which UTF-8 has none to.
_ILLEGIBLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A media file beside the timeline.

    `name` is where it lies, relative to the timeline's folder. It has `frames` frames at `rate` frames a second; a
    sound is counted in frames of the film, the last of them begun. `facts` are ours, JSON-ready.
    """

    name: str
    frames: int
    rate: Fraction
    has_picture: bool
    has_sound: bool
    width: int = 0
    height: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The name of the file alone: by that, editors find media that moved."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a lane: `frames` frames of the film from `begin` on show or play `source` from `start_s` on.

    It shares its first `lead` frames with the piece before in its lane and its last `tail` with the one behind: there
    they cross, by `crossing` where that is no dissolve. Its first `fade_in` frames come out of black or silence, its
    last `fade_out` go into it.

    Attributes:
        shot: Whose it is, if a shot's.
        takes: All that there is to choose from, by name, in order; `source` is one of them.
        take: Under which name `source` is among them.
        fit: How a picture of another shape than the film's is brought to that: `fit`, `fill` or `blur`.
        note: What it was made from, for people.
    """

    source: Source
    begin: int
    frames: int
    start_s: Fraction = Fraction(0)
    lead: int = 0
    tail: int = 0
    fade_in: int = 0
    fade_out: int = 0
    crossing: str | None = None
    gain_db: Decimal = Decimal(0)
    shot: str | None = None
    takes: Mapping[str, Source] = field(default_factory=dict)
    take: str = ""
    fit: str = "fit"
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The frame behind its last one."""
        return self.begin + self.frames

    @property
    def first(self) -> int:
        """The first frame from which it stands in its lane, where a cut would be: in the middle of the dissolve."""
        return self.begin + before_cut(self.lead)

    @property
    def last(self) -> int:
        """The frame behind the last one for which it stands in its lane."""
        return self.end - after_cut(self.tail)


@dataclass(frozen=True, slots=True)
class Lane:
    """Pieces that follow one another, with or without a rest between them."""

    name: str
    role: Role
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A film as an editor lays it out: its pictures, a lane a layer of sound, its captions. All counted in frames.

    `losses` says in words what of the film no timeline holds.
    """

    title: str
    width: int
    height: int
    rate: Fraction
    frames: int
    pictures: Lane
    sounds: tuple[Lane, ...]
    captions: tuple[Caption, ...]
    losses: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> list[Source]:
        """Every media file once, in the film's order; takes that are not shown, too."""
        found: dict[str, Source] = {}
        for lane in (self.pictures, *self.sounds):
            for piece in lane.pieces:
                for source in (*piece.takes.values(), piece.source):
                    found.setdefault(source.name, source)
        return list(found.values())

    def reshaped(self, *fits: str) -> list[Piece]:
        """Pictures of another shape than the film's, of those that are brought to it in one of these ways."""
        return [
            piece
            for piece in self.pictures.pieces
            if piece.fit in fits and piece.source.width * self.height != piece.source.height * self.width
        ]


def before_cut(shared: int) -> int:
    """How many of the frames that two pieces share lie before the cut between them: half, the odd one too.

    That is where Final Cut puts the cut.
    """
    return (shared + 1) // 2


def after_cut(shared: int) -> int:
    """How many lie behind it."""
    return shared // 2


def legible(text: str) -> str:
    """Text without what no XML file can hold: control characters, and halves of characters."""
    return _ILLEGIBLE.sub("", text)


def one_line(text: str) -> str:
    """The same on one line, for names."""
    return " ".join(legible(text).split())
