"""Marks a finished file, signs it if that is wanted, and sees that not one picture of it is changed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from tasks.errors import FilmWrong, MediaError, NotSigned, SettingsError, StorageUnreachable
from tasks.media.boxes import moov_before_mdat
from tasks.media.files import sha256_of, written_whole
from tasks.media.reading import open_media
from tasks.provenance.certificate import Certified, read_certified
from tasks.provenance.credentials import MEDIA_TYPES, sign_file
from tasks.provenance.credits import Credits
from tasks.provenance.xmp import packet_of, put_xmp
from tasks.settings import Signing

__all__ = ["Provenance", "credit"]

_BOXES: Final = {".mp4", ".m4v", ".mov"}
_NAME: Final = "shotchain"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file says of its origin. `why` tells why it is not signed; `marked` whether its XMP says it.

    `failed` is the same where it was to be signed: then people are warned of it.
    `sha256` and `size_bytes` are those of the file with all of it.
    """

    credits: Credits
    marked: bool
    certified: Certified | None
    why: str | None
    sha256: str
    size_bytes: int
    failed: str | None = None

    @property
    def signed(self) -> bool:
        """Whether it has content credentials."""
        return self.certified is not None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        by = self.certified
        return {
            "digital_source_type": str(self.credits.source_type),
            "because": list(self.credits.because),
            "marked": self.marked,
            "signed": self.signed,
            "why": self.why,
            "signer": None if by is None else by.name,
            "algorithm": None if by is None else by.algorithm,
            "timestamped": by is not None and by.timestamps is not None,
            "certificate_expires_at": None if by is None else by.expires_at.astimezone(UTC).isoformat(),
            "ingredients": len(self.credits.ingredients) if by is not None else 0,
        }


def credit(path: Path, credits_: Credits, signing: Signing) -> Provenance:
    """Mark a finished file as what it is, and sign it, in place. Blocks.

    The mark is XMP in the file. An MP4, MOV, WebP or GIF can hold it and credentials; anything else stays as it is, and
    `why` says so. An MP4 or MOV whose signed copy held other pictures, sounds or captions
    than it, or had its index elsewhere, would not be taken.

    Args:
        path: The file, all else that goes into it in it.
        credits_: What is said of it.
        signing: Whether it is signed, and with what.

    Raises:
        NotSigned: It has to be signed, and could not be, or not without changing what is in it.
        MediaError: It is no file of the kind that its suffix names.
        StorageUnreachable: It cannot be read or written.
    """
    try:
        return _credited(path, credits_, signing)
    except OSError as error:
        raise StorageUnreachable(f"this file cannot be marked: {error.strerror or error}", file=str(path)) from error


def _credited(path: Path, credits_: Credits, signing: Signing) -> Provenance:
    suffix, tool = path.suffix.lower(), (_NAME, importlib.metadata.version(_NAME))
    marked = suffix in MEDIA_TYPES and put_xmp(path, packet_of(credits_, " ".join(tool)))
    certified, failed = None, None
    why = _why_not(suffix, signing)
    if why is None:
        try:
            certified = _signed(path, credits_, signing, tool)
        except (NotSigned, SettingsError, StorageUnreachable, FilmWrong, MediaError) as error:
            # What could be signed when the run began cannot be now; the file is as it was.
            why = failed = error.message
    if why is not None and signing.sign == "required":
        raise NotSigned(
            f"the film has to be signed, and could not be: {why}",
            advice="Run the same command again when that is mended: what is made costs nothing more.",
        )
    return Provenance(credits_, marked, certified, why, sha256_of(path), path.stat().st_size, failed)


def _why_not(suffix: str, signing: Signing) -> str | None:
    if suffix not in MEDIA_TYPES:
        return f"a {suffix or 'file without suffix'} can hold no content credentials"
    if signing.sign == "off":
        return "signing is off"
    return None if signing.is_wanted else "no certificate is configured"


def _signed(path: Path, credits_: Credits, signing: Signing, tool: tuple[str, str]) -> Certified:
    certified = read_certified(signing)
    try:
        with written_whole(path) as copy:
            sign_file(path, copy, credits_, certified, tool)
            if path.suffix.lower() in _BOXES:
                _check_same(path, copy)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        raise NotSigned(f"signing failed: {where}{error.strerror or error}") from error
    return certified


def _check_same(before: Path, after: Path) -> None:
    """See that a copy has the very streams, block by block and at the same times."""
    if moov_before_mdat(before) != moov_before_mdat(after):
        raise FilmWrong("signing moved the film's index", file=str(before))
    for number, (one, other) in enumerate(zip_longest(_blocks(before), _blocks(after))):
        if one != other:
            raise FilmWrong(f"signing changed block {number} of what is in the film", file=str(before))


def _blocks(path: Path) -> Iterator[tuple[int, int | None, int | None, bytes]]:
    with open_media(path) as container:
        for stream in (*container.streams.video, *container.streams.audio):
            yield stream.index, None, None, bytes(stream.codec_context.extradata or b"")
        for packet in container.demux():
            yield packet.stream_index, packet.pts, packet.dts, bytes(packet)
