"""`shotchain verify`: what a film says of its origin, and whether that holds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from flows.commands.flags import Json
from flows.commands.output import console, print_json
from tasks.errors import BadInput, Incomplete
from tasks.settings import resolve_settings
from tasks.storage import locate

if TYPE_CHECKING:
    from tasks.provenance.verify import Verified

__all__ = ["verify"]

_LONGEST_VALUE: Final = 200


def verify(
    film: Annotated[str, Parameter(help="Path or fsspec URL of a film.")],
    /,
    *,
    trust: Annotated[
        str | None, Parameter(help="PEM file of the root certificates to trust; by default SHOTCHAIN_C2PA_TRUST.")
    ] = None,
    require: Annotated[bool, Parameter(negative="", help="Fail unless it is signed by one who is trusted.")] = False,
    json: Json = False,
) -> None:
    """Read back what a film says of its origin: its XMP, and whether its content credentials (C2PA) hold.

    What is no film ends with exit code 2, and one that was changed since it was signed with 5.
    """
    from tasks.provenance.certificate import read_roots
    from tasks.provenance.verify import State
    from tasks.provenance.verify import verify as verify_file

    trust = trust or resolve_settings(needs_key=False).signing.trust
    roots = None if trust is None else read_roots(trust)
    place = locate(film)
    if place.size() is None:
        raise BadInput(f"there is no file {place.shown}", advice="Accepted: a film, as a path or any fsspec URL.")
    with tempfile.TemporaryDirectory(prefix="shotchain-") as folder:
        local = place.local
        if local is None:
            local = Path(folder) / f"film{Path(place.name).suffix}"
            place.fetch(local)
        try:
            found = verify_file(local, roots)
        except BadInput as error:
            error.message, error.file = _line(error.message), place.shown
            raise
    told = {"film": place.shown, **found.as_dict()}
    if not json:
        _print(place.shown, found)
    if found.state is State.INVALID or (require and found.state is not State.TRUSTED):
        why = _because(found)
        raise Incomplete(
            f"{place.shown}: {_WORDS[str(found.state)]}" + (f": {why}" if why else ""),
            advice=_ADVICE[str(found.state)],
            failures=(),
            summary=told,
        )
    if json:
        print_json(told)


_WORDS = {
    "trusted": "signed, and trusted",
    "valid": "signed, and what is seen and heard not changed since; who signed it is not vouched for",
    "invalid": "its credentials do not hold",
    "unsigned": "not signed",
}
_ADVICE = {
    "valid": "Name the root certificate of whoever may sign it with --trust or SHOTCHAIN_C2PA_TRUST.",
    "invalid": "It was changed since it was signed, or signed wrongly. Do not rely on what it says of its origin.",
    "unsigned": "Render it again with a certificate and --sign required: what is paid is not paid again.",
}


def _print(film: str, found: Verified) -> None:
    words = _WORDS[str(found.state)]
    lines: list[tuple[str, str | None]] = [
        ("state", f"{found.state}: {words}"),
        ("XMP says", _short(found.digital_source_type) or "nothing of its origin"),
        ("credentials say", _short(found.claimed_source_type)),
        ("title", found.title),
        ("made with", found.model),
        ("joined by", found.generator),
        ("signed by", ", ".join(name for name in (found.signer, found.issuer) if name)),
        ("signed at", found.signed_at),
        ("because", _because(found)),
        ("ingredients", ", ".join(item.title for item in found.ingredients)),
    ]
    out = console()
    out.print(film, markup=False, highlight=False, soft_wrap=True)
    for name, value in lines:
        if value:
            out.print(f"  {name + ':':<16} {_line(value)}", markup=False, highlight=False, soft_wrap=True)


def _line(value: str) -> str:
    """What the file says, as one short line: whoever wrote it could draw lines of ours with it, or hide some."""
    words = " ".join(value.split())
    plain = "".join(char if char.isprintable() else "\ufffd" for char in words)
    return plain if len(plain) <= _LONGEST_VALUE else f"{plain[: _LONGEST_VALUE - 1]}…"


def _because(found: Verified) -> str:
    return _line("; ".join(reason.explanation or reason.code for reason in found.reasons))


def _short(source_type: str | None) -> str | None:
    """The last word of a source type's address, which is what people call it by."""
    return None if source_type is None else source_type.rsplit("/", 1)[-1]
