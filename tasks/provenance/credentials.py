"""Content credentials: what C2PA says of a file, signed and put into it.

Whatever is signed is read and written in pieces, from file to file. Nothing is asked of the network, unless a
timestamp authority is configured.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tasks.errors import NotSigned, SettingsError
from tasks.media.boxes import has_countless_boxes
from tasks.provenance.certificate import PURPOSES, Certified, needs_extra, read_certified
from tasks.provenance.credits import Credits, Ingredient
from tasks.redaction import redact
from tasks.settings import Signing

__all__ = ["MEDIA_TYPES", "c2pa_library", "check_signing", "reading_context", "sign_file"]

MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
"""The kinds of files that content credentials can be put into, by suffix."""

# Beyond this size the pictures are hashed block by block: one hash for all is computed over buffers of 256 MB, two at
# once. Smaller files get the one hash, which the oldest readers know, too.
_LARGE_BYTES: Final = 64 << 20
_BLOCK_KB: Final = 16 << 10
# What is written before it is signed goes to a temporary file from this size on.
_IN_MEMORY_MB: Final = 16

_BOX_TRIAL: Final = (
    bytes.fromhex("00000014") + b"ftypisom" + bytes(4) + b"isom" + bytes.fromhex("0000000c") + b"mdat" + b"...."
)


def c2pa_library() -> ModuleType:
    """The library that signs and reads content credentials.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        import c2pa  # noqa: PLC0415 -- only for those that sign or verify
    # What it is made of is loaded when it is imported, and may not be for this machine.
    except (ImportError, OSError, RuntimeError) as error:
        raise needs_extra("content credentials", error) from error
    return c2pa  # type: ignore[no-any-return]


def check_signing(signing: Signing) -> Certified | None:
    """See, before anything is paid, whether films can be signed as they are to be: something tiny is. Blocks.

    Returns:
        What films are signed with; None if they are not to be.

    Raises:
        SettingsError: They have to be, and cannot be.
    """
    if not signing.is_wanted:
        return None
    if not signing.is_configured:
        raise SettingsError(
            "films have to be signed, and there is no certificate to sign them with",
            advice="Set SHOTCHAIN_C2PA_CERTIFICATE and SHOTCHAIN_C2PA_KEY, or drop --sign required. Nothing was spent.",
        )
    c2pa_library()
    certified = read_certified(signing)
    trial = Credits("Trial", "none", "none", (), ())
    try:
        _sign(
            io.BytesIO(_BOX_TRIAL), io.BytesIO(), ".mp4", trial, certified, tool=("shotchain", "trial"), is_large=False
        )
    except NotSigned as error:
        asked = f", which asks {redact(certified.timestamps)} for the time" if certified.timestamps else ""
        raise SettingsError(
            f"films cannot be signed, as a trial on something tiny{asked} shows: {error.message}",
            advice="Mend what it says, or leave films unsigned with --sign off. Nothing was spent.",
        ) from error
    return certified


def sign_file(source: Path, target: Path, credits_: Credits, certified: Certified, tool: tuple[str, str]) -> None:
    """Write a signed copy of a file, with the clips that it shows as its ingredients. Blocks.

    Args:
        source: The file as it is to be, all other marks in it.
        target: The copy; its suffix says what it is, one of `MEDIA_TYPES`.
        credits_: What is said of it.
        certified: What it is signed with.
        tool: Name and version of the program that made the file.

    Raises:
        NotSigned: It could not be.
        OSError: A file cannot be read or written.
    """
    is_large = source.stat().st_size > _LARGE_BYTES
    with source.open("rb") as reader, target.open("w+b") as writer:
        _sign(reader, writer, target.suffix.lower(), credits_, certified, tool=tool, is_large=is_large)


@contextmanager
def reading_context(trust: bytes | None = None) -> Iterator[Any]:
    """What the library reads by. With `trust`, PEM, those certificates are the roots that it trusts; else none is."""
    with _context({"trust": {"trust_anchors": trust.decode()}} if trust else {}) as context:
        yield context


def _sign(
    reader: Any,
    writer: Any,
    suffix: str,
    credits_: Credits,
    certified: Certified,
    *,
    tool: tuple[str, str],
    is_large: bool,
) -> None:
    c2pa = c2pa_library()
    by_block = {"merkle_tree_chunk_size_in_kb": _BLOCK_KB, "merkle_tree_max_proofs": 0} if is_large else {}
    core = {"backing_store_memory_threshold_in_mb": _IN_MEMORY_MB, **by_block}
    told = _claim(credits_, MEDIA_TYPES[suffix], tool)
    try:
        info = c2pa.C2paSignerInfo(certified.algorithm, certified.chain, certified.key, certified.timestamps)
        with (
            c2pa.Signer.from_info(info) as signer,
            _context({"core": core}) as context,
            c2pa.Builder(told, context) as builder,
        ):
            for ingredient in credits_.ingredients:
                if _holds_credentials(ingredient):
                    _add(builder, ingredient)
            builder.sign(signer, MEDIA_TYPES[suffix], reader, writer)
    except c2pa.C2paError as error:
        raise NotSigned(f"signing failed: {redact(str(error))}") from error


def _claim(credits_: Credits, media_type: str, tool: tuple[str, str]) -> dict[str, Any]:
    name, version = tool
    because = "; ".join(credits_.because) or "all that is seen and heard is the model's own"
    actions: list[dict[str, Any]] = [
        {
            "action": "c2pa.created",
            "digitalSourceType": str(credits_.source_type),
            "softwareAgent": {"name": credits_.model},
            "description": f"Generated by {credits_.model} through {credits_.provider}; {because}",
        }
    ]
    if credits_.ingredients:
        ids = [_id_of(ingredient) for ingredient in credits_.ingredients]
        actions.append(
            {
                "action": "c2pa.placed",
                "softwareAgent": {"name": name, "version": version},
                "parameters": {"ingredientIds": ids},
            }
        )
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "title": credits_.title,
        "format": media_type,
        "ingredients": [_told(item) for item in credits_.ingredients if not _holds_credentials(item)],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}, "created": True}],
    }


def _add(builder: Any, ingredient: Ingredient) -> None:
    """An ingredient with the credentials that it may have itself."""
    with ingredient.path.open("rb") as clip:
        builder.add_ingredient(_told(ingredient), MEDIA_TYPES[ingredient.path.suffix.lower()], clip)


def _told(ingredient: Ingredient) -> dict[str, str]:
    suffix = ingredient.path.suffix.lower()
    return {
        "title": ingredient.title,
        "format": MEDIA_TYPES.get(suffix, f"video/{suffix.removeprefix('.')}"),
        "relationship": "componentOf",
        "instance_id": _id_of(ingredient),
        "label": _id_of(ingredient),
    }


def _holds_credentials(ingredient: Ingredient) -> bool:
    """Whether its kind of file can, and is to be read; of any other, such as WebM, it is only told that it was used."""
    return ingredient.path.suffix.lower() in MEDIA_TYPES and not has_countless_boxes(ingredient.path)


def _id_of(ingredient: Ingredient) -> str:
    """By its content, so that whoever has the clip can tell that it is the one."""
    return f"sha256:{ingredient.sha256}"


@contextmanager
def _context(more: Mapping[str, Any]) -> Iterator[Any]:
    c2pa = c2pa_library()
    trust = {"trust_config": "".join(f"{purpose}\n" for purpose in PURPOSES), **more.get("trust", {})}
    told = {
        # Nobody is asked for credentials that lie elsewhere, nor whether a certificate was revoked.
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
        **more,
        "trust": trust,
    }
    with c2pa.Settings.from_dict(told) as settings, c2pa.Context(settings) as context:
        yield context
