"""The timelines of a film and the media that they refer to, ready to be published beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.clips.taken import Taken
from tasks.media.files import sha256_of
from tasks.plan.model import Plan
from tasks.publish.editing.build import edit_of
from tasks.publish.editing.exports import write_timelines
from tasks.publish.editing.media import MediaCopy, media_files
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import SidecarKind, Targets
from tasks.sequence.scenes import Scene
from tasks.sequence.sound.soundtrack import Laid

__all__ = ["NOTHING", "ForEditors", "for_editors"]


@dataclass(frozen=True, slots=True)
class ForEditors:
    """Timelines, what they refer to, and in words what they lack."""

    sidecars: Sequence[Sidecar] = ()
    media: Sequence[MediaCopy] = ()
    warnings: Sequence[str] = ()

    def media_facts(self) -> list[dict[str, Any]]:
        """What the manifest tells of each media file: `file`, `sha256` and `size_bytes`. Blocks."""
        return [
            {
                "file": copy.name,
                "sha256": copy.sha256 or sha256_of(copy.source),
                "size_bytes": copy.source.stat().st_size,
            }
            for copy in self.media
        ]


NOTHING = ForEditors()


def for_editors(
    plan: Plan,
    scenes: Sequence[Scene],
    takes: Sequence[Taken],
    laid: Mapping[str, Laid],
    local: Mapping[str, Path],
    targets: Targets,
    folder: Path,
) -> ForEditors:
    """Write a film's timelines to `folder`. Blocks.

    Args:
        plan: The film.
        scenes: Its shots, in their places.
        takes: The takes that there are.
        laid: Music and narration, by URI.
        local: Where their bytes can be read.
        targets: Where the film goes.
        folder: Takes the timelines.
    """
    media = media_files(plan, scenes, takes, local, targets.media_folder)
    exports = write_timelines(edit_of(plan, scenes, takes, laid, media), folder)
    sidecars = [Sidecar(SidecarKind(str(file.format)), file.path) for file in exports.files]
    return ForEditors(sidecars, media.copies, exports.warnings)
