"""What one value of a storyboard may be, and what to say when it is something else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from PIL import ImageColor
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from tasks.storyboard.transitions import TransitionKind

__all__ = [
    "ID_PATTERN",
    "MAX_TAKES",
    "PROBLEM_TYPE",
    "BoundaryWord",
    "CardLines",
    "CardSeconds",
    "Colour",
    "Container",
    "Decibels",
    "EndingWord",
    "FadeSeconds",
    "FitWord",
    "Flag",
    "FrameWord",
    "Lifetime",
    "Loudness",
    "Lowering",
    "Rate",
    "Retries",
    "Seconds",
    "ShotId",
    "ShotName",
    "Size",
    "TagName",
    "TakeNumber",
    "Text",
    "TransitionWord",
    "Whole",
    "ending_word",
    "listed",
    "refuse",
    "transition_word",
]

MAX_TAKES: Final = 4
"""Takes that a shot may have."""
ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
PROBLEM_TYPE: Final = "storyboard"
"""Type of the validation errors whose context holds `say` and `accepted`."""

_KINDS: Final = tuple(str(kind) for kind in TransitionKind)
_TRANSITIONS: Final = ", ".join(_KINDS)
_LONGEST_NAME: Final = 40
_HEX_COLOUR: Final = re.compile("#[0-9A-Fa-f]{6}")
_COLOURS: Final = "'#RRGGBB' in quotes, or a CSS name such as black or navy"
MAX_CARD_LINES: Final = 12
MAX_CARD_CHARACTERS: Final = 600
MAX_CARD_S: Final = 60
_SIZE = re.compile(r"\s*([1-9][0-9]{0,4})\s*[xX\u00d7]\s*([1-9][0-9]{0,4})\s*")
_SIZE_PATTERN = r"^\s*[1-9][0-9]{0,4}\s*[xX\u00d7]\s*[1-9][0-9]{0,4}\s*$"


def refuse(say: str, accepted: str | None = None) -> PydanticCustomError:
    return PydanticCustomError(PROBLEM_TYPE, "{say}", {"say": say, "accepted": accepted})


def _unlike_text(value: object) -> str:
    match value:
        case None:
            return "is empty"
        case bool():
            return "must be text, but this is read as true or false: put it in quotes"
        case int() | Decimal():
            return f"must be text, but {value} is read as a number: put it in quotes"
        case list():
            return "must be text, not a list: put it in quotes"
        case _:
            return "must be text, not keys with values: put it in quotes"


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise refuse(_unlike_text(value), "text")
    if not value.strip():
        raise refuse("is empty", "text")
    return value.strip()


def _id(value: object) -> str:
    accepted = "letters, digits, '-' and '_', at most 64, beginning with a letter or a digit"
    if not isinstance(value, str):
        raise refuse(_unlike_text(value), accepted)
    if not re.fullmatch(ID_PATTERN, value):
        raise refuse(f"cannot be '{value[:80]}'" if value.strip() else "is empty", accepted)
    return value


def _number(unit: str, accepted: str, low: Decimal | None = None, high: Decimal | None = None) -> BeforeValidator:
    """A number above zero, or from `low` to `high`."""

    def check(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise refuse(f"must be a number of {unit}", accepted)
        number = Decimal(value)
        if (low is None and number <= 0) or (low is not None and number < low) or (high is not None and number > high):
            raise refuse(f"cannot be {value}", accepted)
        return number

    return BeforeValidator(check)


def _loudness(value: object) -> object:
    # YAML reads a bare `off` as false.
    if value is False or (isinstance(value, str) and value.strip().lower() == "off"):
        return "off"
    accepted = "a number from -36 to -6, such as -16, or off"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refuse("must be a number of LUFS", accepted)
    if not -36 <= value <= -6:
        raise refuse(f"cannot be {value}", accepted)
    return Decimal(value)


def whole(low: int | None = None, high: int | None = None) -> BeforeValidator:
    if low is not None and high is not None:
        accepted = f"a whole number from {low} to {high}"
    else:
        accepted = "a whole number" if low is None else f"a whole number from {low}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse("must be a whole number", accepted)
        if (low is not None and value < low) or (high is not None and value > high):
            raise refuse(f"cannot be {value}", accepted)
        return value

    return BeforeValidator(check)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise refuse("must be true or false, without quotes", "true, false")
    return value


def _one_of(*options: str, fold: Callable[[str], str] = str.strip) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or fold(value) not in options:
            shown = f"cannot be '{value[:80]}'" if isinstance(value, str) else f"must be one of {len(options)} words"
            raise refuse(shown, ", ".join(options))
        return fold(value)

    return check


ending_word = _one_of("cut", "fade")
"""Checks how a film ends."""


def choice(*options: str, fold: Callable[[str], str] = str.strip) -> BeforeValidator:
    """One of these words."""
    return BeforeValidator(_one_of(*options, fold=fold))


def transition_word(value: object) -> str:
    """Check a transition's kind."""
    if not isinstance(value, str):
        raise refuse("must be the name of a transition", _TRANSITIONS)
    word = value.strip()
    if word not in _KINDS:
        # Of whatever was written, only so much can be a name that was meant.
        meant = difflib.get_close_matches(word[:_LONGEST_NAME].lower(), _KINDS, n=3, cutoff=0.7)
        hint = f" (did you mean {' or '.join(repr(name) for name in meant)}?)" if meant else ""
        raise refuse(f"cannot be '{value[:80]}'{hint}", _TRANSITIONS)
    return word


def _colour(value: object) -> str:
    if value is None:
        raise refuse("is empty: a colour that begins with # has to be in quotes", _COLOURS)
    if not isinstance(value, str):
        raise refuse("must be a colour", _COLOURS)
    word = value.strip().lower()
    if _HEX_COLOUR.fullmatch(word):
        return word
    if word not in ImageColor.colormap:
        meant = difflib.get_close_matches(word[:_LONGEST_NAME], ImageColor.colormap, n=1, cutoff=0.7)
        raise refuse(f"cannot be '{value[:80]}'{f' (did you mean {meant[0]!r}?)' if meant else ''}", _COLOURS)
    red, green, blue = ImageColor.getrgb(word)[:3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _card_lines(value: object) -> list[str]:
    lines = [line for item in listed(value) for line in read_text(item).splitlines() if line.strip()]
    accepted = f"a text or a list of them, at most {MAX_CARD_LINES} lines and {MAX_CARD_CHARACTERS} characters"
    if not 1 <= len(lines) <= MAX_CARD_LINES:
        raise refuse(f"has {len(lines)} lines", accepted)
    if (characters := sum(len(line) for line in lines)) > MAX_CARD_CHARACTERS:
        raise refuse(f"has {characters} characters", accepted)
    return [line.strip() for line in lines]


def _size(value: object) -> str:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse("must be WIDTHxHEIGHT in pixels", "1280x720, 960x960, 720x1280, …")
    return f"{match[1]}x{match[2]}"


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


Text: TypeAlias = Annotated[str, BeforeValidator(read_text), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
TagName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]

ShotId: TypeAlias = Annotated[
    str, BeforeValidator(_id), WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN}$"})
]
ShotName: TypeAlias = Annotated[str, BeforeValidator(read_text), WithJsonSchema({"type": "string"})]
Seconds: TypeAlias = Annotated[
    Decimal,
    _number("seconds", "a number above 0, without a unit, such as 5 or 2.5"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Rate: TypeAlias = Annotated[
    Decimal,
    _number("frames a second", "a number from 1 to 120, such as 24 or 23.976", Decimal(1), Decimal(120)),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": 120}),
]
Size: TypeAlias = Annotated[
    str,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": _SIZE_PATTERN}),
]


Decibels: TypeAlias = Annotated[
    Decimal,
    _number("decibels", "a number from -60 to 20, such as -6 or 2.5", Decimal(-60), Decimal(20)),
    WithJsonSchema({"type": "number", "minimum": -60, "maximum": 20}),
]
Lowering: TypeAlias = Annotated[
    Decimal,
    _number("decibels", "a number from 0 to 60, such as 12", Decimal(0), Decimal(60)),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 60}),
]
FadeSeconds: TypeAlias = Annotated[
    Decimal,
    _number("seconds", "a number from 0 to 60, without a unit, such as 2", Decimal(0), Decimal(60)),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 60}),
]
Loudness: TypeAlias = Annotated[
    Decimal | Literal["off"],
    BeforeValidator(_loudness),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": -36, "maximum": -6}, {"enum": ["off", False]}]}),
]
TransitionWord: TypeAlias = Annotated[str, BeforeValidator(transition_word), WithJsonSchema({"enum": list(_KINDS)})]
EndingWord: TypeAlias = Annotated[Literal["cut", "fade"], BeforeValidator(ending_word)]
FitWord: TypeAlias = Annotated[Literal["fit", "fill", "blur"], choice("fit", "fill", "blur")]


CardLines: TypeAlias = Annotated[
    list[str],
    BeforeValidator(_card_lines),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"\S"},
                {
                    "type": "array",
                    "items": {"type": "string", "pattern": r"\S"},
                    "minItems": 1,
                    "maxItems": MAX_CARD_LINES,
                },
            ]
        }
    ),
]
CardSeconds: TypeAlias = Annotated[
    Decimal,
    _number(
        "seconds", f"a number above 0 and at most {MAX_CARD_S}, without a unit, such as 3", high=Decimal(MAX_CARD_S)
    ),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_CARD_S}),
]
Colour: TypeAlias = Annotated[
    str,
    BeforeValidator(_colour),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": f"^{_HEX_COLOUR.pattern}$"}, {"enum": sorted(ImageColor.colormap)}]}
    ),
]


TakeNumber: TypeAlias = Annotated[
    int, whole(1, MAX_TAKES), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_TAKES})
]
Retries: TypeAlias = Annotated[int, whole(0, 10), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10})]
Lifetime: TypeAlias = Annotated[int, whole(1), WithJsonSchema({"type": "integer", "minimum": 1})]
BoundaryWord: TypeAlias = Annotated[Literal["cut", "match", "continue"], choice("cut", "match", "continue")]
Container: TypeAlias = Annotated[
    Literal["MP4", "WEBM", "MOV"],
    choice("MP4", "WEBM", "MOV", fold=lambda text: text.strip().upper()),
    WithJsonSchema({"type": "string", "pattern": "^(?:[Mm][Pp]4|[Ww][Ee][Bb][Mm]|[Mm][Oo][Vv])$"}),
]


FrameWord: TypeAlias = Annotated[Literal["first", "last"], choice("first", "last")]
Whole: TypeAlias = Annotated[int, whole()]
