"""Finds the storyboards of a batch, on any storage, and says where the film of each goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.deliver.presets import Preset
from tasks.errors import BadInput
from tasks.publish.targets import Targets, targets_of
from tasks.storage import Location, StoredFile, locate

__all__ = ["Board", "clashes", "find_boards"]

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
        storyboards: A folder; a pattern with `*`, `?`, `[…]` or, for folders of any depth, `**`; or one storyboard.
            A path or any fsspec URL. Of a folder or a pattern `*.yaml`, `*.yml` and `*.json` are taken, but no
            manifests. What is there under a name with `*`, `?` or `[` in it is meant as it stands.
        output: The folder of the films; those of `a/b.yaml` is `OUTPUT/a/b.mp4`.

    Raises:
        BadInput: There are none, the pattern is none, or the output is no folder.
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


def clashes(boards: Sequence[Board], presets: Sequence[Preset]) -> dict[str, str]:
    """By storyboard, which of its deliverables would have the name of another film, or of another's deliverable."""
    # Where letters of both cases are one, so are these names.
    taken = {board.targets.film.url.casefold(): f"the film of '{board.name}'" for board in boards}
    found = {}
    for board in boards if presets else ():
        for preset, place in board.targets.deliverables(presets).items():
            own = f"'{preset}' of '{board.name}'"
            other = taken.setdefault(place.url.casefold(), own)
            if other != own:
                found[board.name] = f"its deliverable '{preset}' would have the name of {other}"
    return found


def _found(storyboards: str) -> tuple[Location, list[str]]:
    """The folder where the search began, and what is wanted of it."""
    whole = locate(storyboards)
    if whole.size() is not None:
        folder, slash, _ = storyboards.rpartition("/")
        return locate(folder + slash or "."), [whole.name]
    if _MAGIC.search(storyboards) is None or _is_folder(whole):
        return whole, _storyboards(whole.files(enters=lambda _: False))
    folder, glob = _parted(storyboards)
    top = locate(folder or ".")
    pattern = _pattern(glob)
    return top, [name for name in _storyboards(top.files(enters=_leads_to(glob))) if pattern.fullmatch(name)]


def _is_folder(place: Location) -> bool:
    return place.is_folder() if place.local is not None else bool(place.files(enters=lambda _: False))


def _storyboards(files: Iterable[StoredFile]) -> list[str]:
    """Of these files those that can be storyboards: films lie beside them, and what is told of films."""
    return [
        file.name
        for file in files
        if PurePosixPath(file.name).suffix.lower() in _SUFFIXES and not _is_manifest(PurePosixPath(file.name).name)
    ]


def _is_manifest(name: str) -> bool:
    return name == "manifest.json" or name.endswith(".manifest.json")


def _parted(storyboards: str) -> tuple[str, str]:
    """The folder where a pattern begins, and the pattern: below the last folder that is there as it is written."""
    magic = _MAGIC.search(storyboards)
    end = storyboards.rfind("/", 0, magic.start() if magic else None) + 1
    for slash in reversed([at.start() for at in re.finditer("/", storyboards) if at.start() >= end]):
        if _MAGIC.search(storyboards, slash) and _is_folder(locate(storyboards[:slash])):
            end = slash + 1
            break
    return storyboards[:end], storyboards[end:]


def _leads_to(glob: str) -> Callable[[str], bool]:
    """Whether what a pattern matches may lie in a folder."""
    steps = glob.split("/")
    deep = next((at for at, step in enumerate(steps) if "**" in step), len(steps))
    patterns = [_pattern(step) for step in steps[: min(deep, len(steps) - 1)]]

    def enters(folder: str) -> bool:
        names = folder.split("/")
        if not all(pattern.fullmatch(name) for pattern, name in zip(patterns, names, strict=False)):
            return False
        return deep < len(steps) or len(names) < len(steps)

    return enters


def _pattern(glob: str) -> re.Pattern[str]:
    """What a pattern matches of paths with slashes: `*` and `?` within one name, `**` over any number of folders.

    Raises:
        BadInput: It is none.
    """
    parts = []
    for step in re.findall(r"(?s)\*\*/|\*\*|\*|\?|\[!?[^/][^\]/]*\]|.", glob):
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
                parts.append(_one_of(step[1:-1]))
            case _:
                parts.append(re.escape(step))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise BadInput(
            f"'{glob}' is no pattern: {error.msg}", advice="Accepted in brackets: characters, and ranges such as a-z."
        ) from error


def _one_of(characters: str) -> str:
    """One character of a set, or with `!` none of it; never a slash."""
    others = characters.startswith("!") and len(characters) > 1
    inside = re.sub(
        r"(?s)(.)-(.)|(.)",
        lambda found: re.escape(found[3]) if found[3] else f"{re.escape(found[1])}-{re.escape(found[2])}",
        characters[1:] if others else characters,
    )
    return f"(?!/)[{'^' if others else ''}{inside}]"


def _place(place: Location) -> str:
    return str(place.local) if place.local is not None else place.url
