"""The file of presets, `configs/deliverables.yaml`, and one's own beside it: every mistake told with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tasks.deliver.presets import (
    CODECS,
    DEFAULT_QUALITY,
    FASTEST_GIF,
    PRESET_NAME,
    PROFILES,
    QUALITIES,
    Codec,
    Container,
    Preset,
    Size,
)
from tasks.errors import Problem, SettingsError, StoryboardError
from tasks.local_path import local_path
from tasks.plan.lengths import exact_rate
from tasks.storyboard.check import nearest
from tasks.storyboard.located import KeyPath
from tasks.storyboard.model import Fit
from tasks.storyboard.yaml_lines import parse_yaml

__all__ = ["read_presets"]

_SHIPPED: Final = "configs/deliverables.yaml"
_MOST_PX: Final = 8192

_Name = Annotated[str, Field(pattern=rf"^{PRESET_NAME}$", max_length=64)]
_Side = Annotated[int, Field(ge=64, le=_MOST_PX, multiple_of=2)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SizeDocument(_Data):
    width: _Side
    height: _Side
    fit: Fit = Fit.FILL


class _PresetDocument(_Data):
    container: Container
    codec: Codec | None = None
    quality: Annotated[int, Field(ge=0)] | None = None
    profile: str | None = None
    size: str | None = None
    max_width: _Side | None = None
    fit: Fit | None = None
    fps: Annotated[Decimal, Field(ge=1, le=120)] | None = None
    first_s: Annotated[Decimal, Field(gt=0, le=86_400)] | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        codec = self.coded
        if codec not in CODECS[self.container]:
            raise ValueError(f"{self.container} holds no {codec}, but {', '.join(CODECS[self.container])}")
        most = QUALITIES.get(codec)
        if self.quality is not None and (most is None or self.quality > most):
            of_it = "has no quality" if most is None else f"has a quality of 0 to {most}"
            raise ValueError(f"{codec} {of_it}, so it cannot be {self.quality}")
        if self.profile is not None and (codec is not Codec.PRORES or self.profile not in PROFILES):
            raise ValueError(f"there is no profile '{self.profile}' of {codec}; prores has {', '.join(PROFILES)}")
        if self.container is Container.GIF and self.fps is not None and self.fps > FASTEST_GIF:
            raise ValueError(f"a gif shows at most {FASTEST_GIF} frames a second")
        if self.size is not None and self.max_width is not None:
            raise ValueError("'size' and 'max_width' exclude each other")
        if self.fit is not None and self.size is None:
            raise ValueError("'fit' says how a film comes to a size, and there is no 'size'")
        return self

    @property
    def coded(self) -> Codec:
        return self.codec or CODECS[self.container][0]


class _Document(_Data):
    sizes: Mapping[_Name, _SizeDocument] = {}
    presets: Mapping[_Name, _PresetDocument] = {}


def read_presets(path: str | Path | None = None) -> Mapping[str, Preset]:
    """All presets by name: the shipped ones, and over them those of the file `path`, if one is given. Blocks.

    Raises:
        SettingsError: The file cannot be read, or there is a mistake in it; with file, line and what would do.
    """
    return _shipped() if path is None else _of_own(local_path(path))


@cache
def _shipped() -> Mapping[str, Preset]:
    text = resources.files("configs").joinpath("deliverables.yaml").read_text(encoding="utf-8")
    file = _File(_SHIPPED, text)
    return file.presets(file.sizes())


def _of_own(path: Path) -> Mapping[str, Preset]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text", file=str(path)) from error
    except OSError as error:
        raise SettingsError(
            f"the presets cannot be read: {error.strerror or error}",
            file=str(path),
            advice="Name another file with --deliverables or SHOTCHAIN_DELIVERABLES.",
        ) from error
    file = _File(str(path), text)
    shipped = _File(_SHIPPED, resources.files("configs").joinpath("deliverables.yaml").read_text(encoding="utf-8"))
    return {**_shipped(), **file.presets({**shipped.sizes(), **file.sizes()})}


class _File:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        try:
            located = parse_yaml(text, file)
        except StoryboardError as error:
            self._fail(error.problems)
        self._lines = located.lines
        if located.problems:
            self._fail(located.problems)
        # A file of comments alone has none.
        data = {} if located.data is None else located.data
        if not isinstance(data, dict):
            self._fail([self._problem((), "this is not a file of presets", "sizes and presets, each by its name")])
        # An empty list of them, as `presets:` with nothing behind it is.
        data = {key: {} if value is None and key in _Document.model_fields else value for key, value in data.items()}
        try:
            self._document = _Document.model_validate(data)
        except ValidationError as error:
            self._fail([self._told(item) for item in error.errors()])

    def sizes(self) -> dict[str, Size]:
        """Those that the file has, by name."""
        return {name: Size(it.width, it.height, it.fit) for name, it in self._document.sizes.items()}

    def presets(self, sizes: Mapping[str, Size]) -> dict[str, Preset]:
        """Those that the file has, by name, with sizes out of `sizes`."""
        problems = [
            self._problem(
                ("presets", name, "size"),
                f"there is no size '{it.size}'{_meant(it.size, sizes)}",
                ", ".join(sizes),
            )
            for name, it in self._document.presets.items()
            if it.size is not None and it.size not in sizes
        ]
        if problems:
            self._fail(problems)
        return {name: _preset(name, it, sizes) for name, it in self._document.presets.items()}

    def _told(self, item: ErrorDetails) -> Problem:
        path: KeyPath = tuple(part for part in item["loc"] if part != "[key]")
        key = path[-1] if path else ""
        match item["type"]:
            case "extra_forbidden":
                keys = _keys_at(path)
                return self._problem(path, f"there is no key '{key}' here{_meant(str(key), keys)}", ", ".join(keys))
            case "missing":
                return self._problem(path, f"there is no '{key}'", ", ".join(Container) if key == "container" else None)
            case "value_error":
                return self._problem(path, item["msg"].removeprefix("Value error, "))
            case "string_pattern_mismatch" | "string_too_long":
                accepted = "lower-case letters, digits, and between them '-', '_' and '.', since it names a file"
                return self._problem(path, f"'{key}' cannot be a name", accepted)
            case "enum":
                given, options = str(item["input"]), [it.strip("'") for it in _expected(item)]
                return self._problem(path, f"{key} cannot be '{given}'{_meant(given, options)}", ", ".join(options))
            case "model_type" | "dict_type":
                return self._problem(path, f"'{key}' is not keys with values", ", ".join(_keys_at((*path, ""))))
            case _:
                return self._problem(path, f"{key}: {item['msg'][:1].lower()}{item['msg'][1:]}")

    def _problem(self, path: KeyPath, message: str, accepted: str | None = None) -> Problem:
        where = ".".join(str(part) for part in path[:2]) if len(path) > 1 else ""
        while path not in self._lines and path:
            path = path[:-1]
        said = f"{where}: {message}" if where else message
        return Problem(said, file=self._file, line=self._lines.get(path), accepted=accepted)

    def _fail(self, problems: Sequence[Problem]) -> NoReturn:
        first, *others = sorted(problems, key=lambda problem: problem.line or 0)
        accepted = [f"accepted: {first.accepted}"] if first.accepted else []
        advice = "\n".join([*accepted, *map(str, others)]) or None
        raise SettingsError(first.message, file=first.file, line=first.line, advice=advice)


def _preset(name: str, document: _PresetDocument, sizes: Mapping[str, Size]) -> Preset:
    size = None if document.size is None else sizes[document.size]
    if size is not None and document.fit is not None:
        size = Size(size.width, size.height, document.fit)
    codec = document.coded
    return Preset(
        name=name,
        container=document.container,
        codec=codec,
        quality=DEFAULT_QUALITY.get(codec) if document.quality is None else document.quality,
        profile=document.profile or ("hq" if codec is Codec.PRORES else None),
        size=size,
        max_width=document.max_width,
        rate=None if document.fps is None else exact_rate(document.fps),
        first_s=document.first_s,
    )


def _keys_at(path: KeyPath) -> list[str]:
    model: Any = {"sizes": _SizeDocument, "presets": _PresetDocument}.get(str(path[0])) if len(path) > 1 else _Document
    return list(model.model_fields)


def _expected(item: ErrorDetails) -> list[str]:
    said = str(item.get("ctx", {}).get("expected", ""))
    return [word.strip() for word in said.replace(" or ", ", ").split(",") if word.strip()]


def _meant(word: str | None, options: Sequence[str] | Mapping[str, object]) -> str:
    meant = nearest(word or "", list(options))
    return f" (did you mean '{meant}'?)" if meant else ""
