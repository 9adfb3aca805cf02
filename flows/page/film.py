"""The finished film on the page: a link where a browser can follow one, else where it lies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.page.words import plain
from tasks.publish.targets import Targets

__all__ = ["FilmNote", "film_of"]

_BROWSABLE = {"http", "https"}


@dataclass(frozen=True, slots=True)
class FilmNote:
    """What is said of a film: `figures` and `markdown` are Markdown; `url` is None where no browser could open it."""

    name: str
    url: str | None
    figures: str
    markdown: str


def film_of(manifest: Mapping[str, Any], targets: Targets) -> FilmNote:
    """What is said of a film. It has an address where a browser can open that, and no secret is in it."""
    film, place = manifest["film"], targets.film
    figures = (
        f"**{plain(str(manifest['title']))}**: {film['duration_s']} s, {film['frames']} frames, "
        f"{film['width']} × {film['height']}, ${manifest['cost_usd']}{_signed(manifest)}"
    )
    where = f"Film: {_code(place.shown)}\n\nManifest: {_code(targets.manifest.shown)}\n"
    url = place.shown if place.protocol in _BROWSABLE and place.shown == place.url else None
    return FilmNote(place.name, url, figures, f"{figures}\n\n{where}")


def _signed(manifest: Mapping[str, Any]) -> str:
    provenance = manifest.get("provenance")
    if not provenance:
        return ""
    if provenance["signed"]:
        return f"; signed by {plain(str(provenance['signer']))}"
    return f"; not signed: {plain(str(provenance['why']))}"


def _code(text: str) -> str:
    """A path as it is, in the quotes of code."""
    return f"`` {text.replace('`', chr(0x2019))} ``" if "`" in text else f"`{text}`"
