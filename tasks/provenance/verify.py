"""Reads back what a file says of its origin: its XMP, and whether its content credentials hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tasks.errors import BadInput, MediaError
from tasks.media.boxes import has_countless_boxes
from tasks.media.probe import probe_video
from tasks.provenance.credentials import MEDIA_TYPES, c2pa_library, reading_context
from tasks.provenance.xmp import read_xmp, source_type_in

__all__ = ["Credential", "Reason", "State", "Verified", "verify"]

# In every store of credentials, in whatever container: its head, and the names of parts. One may be damaged.
_PARTS: Final = (b"jumdc2pa", b"c2pa.assertions", b"c2pa.signature")
_LONGEST_PART: Final = max(map(len, _PARTS))
_BLOCK_BYTES: Final = 1 << 20
_UNTRUSTED: Final = "signingCredential.untrusted"


class State(StrEnum):
    """What a file's credentials are worth.

    `trusted`: whole, and signed by one whom a trusted root vouches for. `valid`: whole, and signed by somebody.
    `invalid`: changed since it was signed, or signed wrongly; or made to keep readers busy. `unsigned`: there are none.
    """

    TRUSTED = "trusted"
    VALID = "valid"
    INVALID = "invalid"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why credentials are worth no more: C2PA's own code, and in words."""

    code: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Credential:
    """An ingredient that a file names. `sha256` is that of the ingredient's own file, where it is told."""

    title: str
    relationship: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a file says of its origin, and what that is worth.

    `digital_source_type` is what its XMP says, `claimed_source_type` what its credentials say; `signer` is whom the
    certificate names, `issuer` its organization; `signed_at` is known where a timestamp authority was asked.
    """

    state: State
    digital_source_type: str | None
    claimed_source_type: str | None = None
    reasons: tuple[Reason, ...] = ()
    title: str | None = None
    generator: str | None = None
    model: str | None = None
    issuer: str | None = None
    signer: str | None = None
    algorithm: str | None = None
    signed_at: str | None = None
    ingredients: tuple[Credential, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        simple = (
            "digital_source_type",
            "claimed_source_type",
            "title",
            "generator",
            "model",
            "issuer",
            "signer",
            "algorithm",
            "signed_at",
        )
        return {
            "state": str(self.state),
            "signed": self.state is not State.UNSIGNED,
            **{name: getattr(self, name) for name in simple},
            "reasons": [{"code": reason.code, "explanation": reason.explanation} for reason in self.reasons],
            "ingredients": [
                {"title": item.title, "relationship": item.relationship, "sha256": item.sha256}
                for item in self.ingredients
            ],
        }


def verify(path: Path, trust: bytes | None = None) -> Verified:
    """Read a file's XMP and credentials, and check them against its bytes. Blocks; asks nobody.

    Args:
        path: An MP4, MOV, WebM, WebP or GIF.
        trust: The root certificates that are trusted, see `read_roots`; without any, nobody is.

    Raises:
        BadInput: It is no whole file of its kind, and there are no credentials in it that would not hold.
        SettingsError: The package that reads credentials is not installed.
    """
    c2pa = c2pa_library()
    if has_countless_boxes(path):
        return Verified(State.INVALID, None, reasons=(Reason("boxes", "it has more boxes than any film has"),))
    source_type = _source_type(path)
    with reading_context(trust) as context, path.open("rb") as file:
        try:
            reader = c2pa.Reader.try_create(MEDIA_TYPES.get(path.suffix.lower()), file, None, context)
            if reader is None:
                return Verified(State.UNSIGNED, source_type)
            with reader:
                told = json.loads(reader.json())
        except c2pa.C2paError.NotSupported:
            # A container that can hold no credentials, such as WebM; or no film at all.
            try:
                probe_video(path)
            except MediaError as error:
                raise _no_film(path, error.message) from error
            return Verified(State.UNSIGNED, source_type)
        except c2pa.C2paError as error:
            if _has_credentials(path):
                return Verified(State.INVALID, source_type, reasons=(Reason("unreadable", str(error)),))
            if "remote manifest" in str(error):
                elsewhere = Reason("remote", "it names credentials that lie elsewhere, where nobody is asked for them")
                return Verified(State.UNSIGNED, source_type, reasons=(elsewhere,))
            raise _no_film(path, str(error)) from error
    return _verified(told, source_type)


def _no_film(path: Path, said: str) -> BadInput:
    return BadInput(
        f"this is no whole film: {said}", file=str(path), advice="Accepted: an MP4, MOV, WebM, WebP or GIF."
    )


def _has_credentials(path: Path) -> bool:
    """Whether there are credentials anywhere in a file, damaged as it may be."""
    with path.open("rb") as file:
        before = b""
        while block := file.read(_BLOCK_BYTES):
            seen = before + block
            if any(part in seen for part in _PARTS):
                return True
            before = block[1 - _LONGEST_PART :]
    return False


def _source_type(path: Path) -> str | None:
    try:
        packet = read_xmp(path)
    except MediaError:  # what is damaged tells nothing, and its credentials will not hold either
        return None
    return None if packet is None else source_type_in(packet)


def _verified(told: Mapping[str, Any], source_type: str | None) -> Verified:
    active = (told.get("manifests") or {}).get(told.get("active_manifest"))
    if active is None:
        return Verified(State.INVALID, source_type, reasons=(Reason("unreadable", "what was signed is not there"),))
    created = next(iter(_actions(active)), {})
    signature = active.get("signature_info") or {}
    results = (told.get("validation_results") or {}).get("activeManifest") or {}
    failures = [Reason(str(it.get("code")), str(it.get("explanation") or "")) for it in results.get("failure") or ()]
    state = {"Trusted": State.TRUSTED, "Valid": State.VALID}.get(str(told.get("validation_state")), State.INVALID)
    # That nobody vouches for the signer is the least of what is wrong with a film that was changed.
    weighed = [it for it in failures if it.code != _UNTRUSTED] or failures if state is State.INVALID else failures
    generator: Mapping[str, Any] = next(iter(active.get("claim_generator_info") or ()), {})
    return Verified(
        state,
        source_type,
        claimed_source_type=created.get("digitalSourceType"),
        reasons=tuple(dict.fromkeys(weighed)),
        title=active.get("title"),
        generator=" ".join(str(generator[name]) for name in ("name", "version") if generator.get(name)) or None,
        model=_name(created.get("softwareAgent")),
        issuer=signature.get("issuer"),
        signer=signature.get("common_name"),
        algorithm=signature.get("alg"),
        signed_at=signature.get("time"),
        ingredients=tuple(_credential(it) for it in active.get("ingredients") or ()),
    )


def _actions(active: Mapping[str, Any]) -> list[dict[str, Any]]:
    for assertion in active.get("assertions") or ():
        if str(assertion.get("label")).startswith("c2pa.actions"):
            found = assertion.get("data", {}).get("actions") or []
            return [action for action in found if action.get("digitalSourceType")]
    return []


def _name(agent: object) -> str | None:
    return str(agent.get("name")) if isinstance(agent, dict) else agent if isinstance(agent, str) else None


def _credential(told: Mapping[str, Any]) -> Credential:
    kind, _, digest = str(told.get("instance_id")).partition(":")
    sha256 = digest if kind == "sha256" else None
    return Credential(str(told.get("title")), str(told.get("relationship")), sha256)
