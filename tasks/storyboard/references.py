"""Decides what a storyboard names: an asset, a file by its path or URI, a frame or the clip of another shot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from tasks.redaction import redact
from tasks.storyboard.check import Checked, listing, nearest, similar_file
from tasks.storyboard.document import AssetDocument, ClipReference, FrameReference, StoryboardDocument
from tasks.storyboard.draft import Draft, Mistakes
from tasks.storyboard.located import KeyPath
from tasks.storyboard.model import ClipOf, FrameOf, MediaFile
from tasks.storyboard.uris import Base, check_uri, has_scheme, local_path, looks_like_path

__all__ = ["References"]


class References:
    """The pictures, videos, sounds and shots that one storyboard can name.

    Args:
        checked: The file as checked.
        document: What `checked` holds.
        drafts: Its shots. What a shot refers to is added to its needs.
        base: The folder from which relative paths start.
        file: The file's name for messages.
        mistakes: Takes what is wrong.
    """

    def __init__(
        self,
        checked: Checked,
        document: StoryboardDocument,
        drafts: Sequence[Draft],
        base: Base,
        file: str,
        mistakes: Mistakes,
    ) -> None:
        self._assets = document.assets or {}
        self._broken = checked.broken
        self._lines = checked.lines
        self._base = base
        self._file = file
        self._mistakes = mistakes
        self._media: dict[KeyPath, MediaFile] = {}
        self._located: dict[KeyPath, str] = {}
        self._ids = [draft.id for draft in drafts if draft.named]
        # An id that was written but refused still explains the references to it.
        self._known_ids = {*self._ids, *checked.written_ids.values()}
        self._nameless = any(not draft.named and draft.index not in checked.written_ids for draft in drafts)

    def resolve(self, value: Any, path: KeyPath, draft: Draft | None) -> Any:
        """What a value names: a `MediaFile`, a `FrameOf` or a `ClipOf`; None where it names nothing that can be used.

        Args:
            value: As written: text, a `FrameReference` or a `ClipReference`.
            path: Where it is written.
            draft: The shot that has it; without one, a default is looked at for its own sake.
        """
        if path in self._broken:
            return None
        if isinstance(value, FrameReference | ClipReference):
            if not self._is_known(value.shot, path, draft):
                return None
            if isinstance(value, ClipReference):
                return ClipOf(value.shot)
            return FrameOf(value.shot, value.frame)
        if path not in self._media:
            self._media[path] = self._media_file(value, path, draft)
        return self._media[path]

    def _is_known(self, shot_id: str, path: KeyPath, draft: Draft | None) -> bool:
        inner = (*path, "shot")
        if draft is not None and shot_id == draft.id and draft.named:
            message = "the shot refers to itself"
            if path[0] == "defaults":
                message = f"this default makes shot '{shot_id}' refer to itself"
            self._mistakes.note(inner, message, draft, "the id of another shot")
            return False
        if shot_id in self._known_ids:
            if draft is not None:
                draft.needs.setdefault(shot_id, []).append(path)
            return True
        meant = nearest(shot_id, self._ids)
        if meant is None and self._nameless:
            return False  # it may well be the shot whose id is missing, and that has been said
        hint = f" (did you mean '{meant}'?)" if meant else ""
        message = f"shot '{shot_id}' is not in this storyboard{hint}"
        self._mistakes.note(inner, message, draft, listing(self._ids))
        return False

    def _media_file(self, text: str, path: KeyPath, draft: Draft | None) -> MediaFile:
        if text in self._assets:
            asset = self._assets[text]
            return MediaFile(self._asset_uri(text, asset), text, asset.source_duration)
        if has_scheme(text) or looks_like_path(text):
            return MediaFile(self._locate(text, path, draft))
        if ("assets",) not in self._broken:
            meant = nearest(text, self._assets)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            known = f"{listing(list(self._assets))}; " if self._assets else ""
            message = f"there is no asset '{redact(text[:80])}'{hint}"
            accepted = f"{known}a path (with '/' or a suffix such as .png), or a URI"
            self._mistakes.note(path, message, draft, accepted)
        return MediaFile(text)

    def _asset_uri(self, name: str, asset: AssetDocument) -> str:
        path: KeyPath = ("assets", name)
        if path not in self._located:
            broken = path in self._broken
            inner = (*path, "source") if (*path, "source") in self._lines else path
            self._located[path] = asset.source if broken else self._locate(asset.source, inner, None)
        return self._located[path]

    def _locate(self, text: str, path: KeyPath, draft: Draft | None) -> str:
        """The absolute URI of a path or URI, which for a local file is checked to be there."""
        shown = redact(text if len(text) <= 200 else f"{text[:200]}…")
        try:
            if has_scheme(text):
                check_uri(text)
                target = local_path(text)
                uri = text if target is None else target.as_uri()
            else:
                uri = self._base.uri(text)
                target = local_path(uri)
            if target is None:
                return uri
            missing, folder = not target.exists(), target.is_dir()
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._mistakes.note(path, f"'{shown}' cannot be used: {reason}", draft, "a path, or a URI")
            return text
        if missing:
            accepted = f"a path to a file, relative to {self._folder_words()}"
            self._mistakes.note(path, f"there is no file '{shown}'{similar_file(target)}", draft, accepted)
        elif folder:
            self._mistakes.note(path, f"'{shown}' is a folder", draft, "a path to a file")
        return uri

    def _folder_words(self) -> str:
        folder = PurePosixPath(self._file).parent
        return "the current folder" if str(folder) == "." else f"'{folder}'"
