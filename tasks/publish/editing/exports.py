"""Writes a film's timeline in every format that editors open; one that cannot be written does not keep the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from tasks.errors import ShotchainError
from tasks.media.files import written_whole
from tasks.publish.editing.edit import Edit
from tasks.publish.editing.edl import edl
from tasks.publish.editing.fcp7 import fcp7_xml
from tasks.publish.editing.fcpxml import fcpxml
from tasks.publish.editing.timeline import timeline_of
from tasks.redaction import redact

__all__ = ["Exports", "TimelineFile", "TimelineFormat", "write_timelines"]

_Written: TypeAlias = tuple[str, list[str]]


class TimelineFormat(StrEnum):
    """A format of timelines, by the suffix of its files."""

    OTIO = "otio"
    FCP7 = "xml"
    FCPXML = "fcpxml"
    EDL = "edl"


@dataclass(frozen=True, slots=True)
class TimelineFile:
    """A timeline that was written."""

    format: TimelineFormat
    path: Path


@dataclass(frozen=True, slots=True)
class Exports:
    """The timelines that could be written, and in words what they lack and which could not."""

    files: tuple[TimelineFile, ...]
    warnings: tuple[str, ...]


def write_timelines(edit: Edit, folder: Path) -> Exports:
    """Write `timeline.otio`, `timeline.xml`, `timeline.fcpxml` and `timeline.edl`, each whole or absent. Blocks.

    Raises nothing: the film is whole without its timelines, and which of them are not there, and why, is told.

    Args:
        edit: The film as editors open it.
        folder: Where they go. Made if missing.
    """
    files: list[TimelineFile] = []
    warnings = [f"timelines: {loss}" for loss in edit.losses]
    for kind, write in _WRITERS.items():
        path = folder / _name(kind)
        try:
            text, losses = write(edit)
            with written_whole(path) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")
        except ShotchainError as error:
            warnings.append(f"no {_name(kind)}: {error.message}")
        # An adapter raises whatever it stumbles over.
        except Exception as error:  # noqa: BLE001
            warnings.append(f"no {_name(kind)}: it cannot be written ({type(error).__name__}: {redact(str(error))})")
        else:
            files.append(TimelineFile(kind, path))
            warnings += [f"{_name(kind)}: {loss}" for loss in losses]
    return Exports(tuple(files), tuple(warnings))


def _name(kind: TimelineFormat) -> str:
    return f"timeline.{kind}"


def _otio(edit: Edit) -> _Written:
    pieces = [piece for lane in (edit.pictures, *edit.sounds) for piece in lane.pieces]
    losses = []
    if any(piece.gain_db for piece in pieces):
        losses.append("how loud each sound is stands in its metadata, which editors do not read")
    text: str = timeline_of(edit).to_json_string(indent=1)
    return f"{text}\n", losses + _unfitted(edit)


def _fcp7(edit: Edit) -> _Written:
    text, losses = fcp7_xml(edit)
    return text, losses + _unfitted(edit)


def _edl(edit: Edit) -> _Written:
    text, losses = edl(edit)
    return text, losses + _unfitted(edit)


def _unfitted(edit: Edit) -> list[str]:
    return [
        f"'{piece.source.file}' has another shape than the film, which it fills there ('{piece.fit}')"
        for piece in edit.reshaped("fill", "blur")
    ]


_WRITERS: Final = MappingProxyType[TimelineFormat, Callable[[Edit], _Written]](
    {
        TimelineFormat.OTIO: _otio,
        TimelineFormat.FCP7: _fcp7,
        TimelineFormat.FCPXML: fcpxml,
        TimelineFormat.EDL: _edl,
    }
)
