"""Finds the storyboards of a batch, on any storage, and says where the film of each goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.errors import BadInput
from tasks.publish.targets import Targets, targets_of
from tasks.storage import Location, locate

__all__ = ["Board", "find_boards"]

_SUFFIXES = {".yaml", ".yml", ".json"}
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Board:
    """A storyboard of a batch.

    `name` is its path below the folder where the search began, without suffix; `source` where it lies; `output` the
    name of its film. `twin` is another storyboard whose film would have the same name, if there is one before it.
    """

    name: str
    source: str
    output: str
    twin: str | None = None

    @property
    def targets(self) -> Targets:
        """Where film and manifest go."""
        return targets_of(self.output)


def find_boards(storyboards: str, output: str) -> list[Board]:
    """The storyboards that a folder holds, or that a pattern matches, by name. Blocks.

    Args:
        storyboards: A folder, of which `*.yaml`, `*.yml` and `*.json` are taken, but no manifests; a pattern with `*`,
            `?`, `[…]` or, for folders of any depth, `**`; or one storyboard. A path or any fsspec URL.
        output: The folder of the films; those of `a/b.yaml` is `OUTPUT/a/b.mp4`.

    Raises:
        BadInput: There are none, or the output is no folder.
        SettingsError: The kind of storage is not known or not installed.
        StorageUnreachable: The storage does not answer.
    """
    if PurePosixPath(locate(output).name).suffix.lower() == ".mp4":
        raise BadInput(f"a batch makes many films, and '{output}' is one", advice="Accepted: a folder; any fsspec URL.")
    if storyboards.lower().startswith(("http://", "https://")):
        raise BadInput("a web server does not say what it holds", advice="Accepted: a folder or pattern of storage.")
    top, names = _found(storyboards)
    if not names:
        raise BadInput(
            f"there is no storyboard in {locate(storyboards).shown}",
            advice="Accepted: a folder of .yaml, .yml or .json files, or a pattern such as 'boards/**/*.yaml'.",
        )
    boards: list[Board] = []
    taken: dict[str, str] = {}
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        film = locate(output).child(f"{stem}.mp4")
        boards.append(Board(stem, _place(top.child(name)), _place(film), taken.get(stem)))
        taken.setdefault(stem, name)
    return boards


def _found(storyboards: str) -> tuple[Location, list[str]]:
    """The folder where the search began, and what is wanted of it."""
    magic = _MAGIC.search(storyboards)
    if magic is not None:
        folder, slash, _ = storyboards[: magic.start()].rpartition("/")
        top = locate(folder + slash or ".")
        pattern = _pattern(storyboards[len(folder + slash) :])
        return top, [file.name for file in top.files() if pattern.fullmatch(file.name)]
    top = locate(storyboards)
    if top.size() is not None:
        folder, slash, _ = storyboards.rpartition("/")
        return locate(folder + slash or "."), [top.name]
    files = [file.name for file in top.files() if "/" not in file.name]
    return top, [name for name in files if PurePosixPath(name).suffix.lower() in _SUFFIXES and not _is_manifest(name)]


def _is_manifest(name: str) -> bool:
    return name == "manifest.json" or name.endswith(".manifest.json")


def _pattern(glob: str) -> re.Pattern[str]:
    """What a pattern matches of paths with slashes: `*` and `?` within one name, `**` over any number of folders."""
    parts = []
    for step in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", glob):
        match step:
            case "**/":
                parts.append(r"(?:[^/]+/)*")
            case "**":
                parts.append(r".*")
            case "*":
                parts.append(r"[^/]*")
            case "?":
                parts.append(r"[^/]")
            case _ if len(step) > 1:
                parts.append("[" + step[1:-1].replace("\\", "\\\\").replace("!", "^", 1 if step[1] == "!" else 0) + "]")
            case _:
                parts.append(re.escape(step))
    return re.compile("".join(parts))


def _place(place: Location) -> str:
    return str(place.local) if place.local is not None else place.url
