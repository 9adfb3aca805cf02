"""The packet of XMP that marks a film as generated, and its place in the file.

In an MP4 or MOV it stands in a box of its own at the end, where nothing else has to move: the index stays before the
pictures, every offset in it stays right, and players step over a box that they do not know.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final
from uuid import UUID
from xml.sax.saxutils import escape

from tasks.errors import MediaError
from tasks.media.boxes import Box, top_level_boxes
from tasks.provenance.credits import Credits
from tasks.provenance.moving import is_gif, is_webp, put_in_gif, put_in_webp, read_gif, read_webp

__all__ = ["packet_of", "put_xmp", "read_xmp", "source_type_in"]

# As Adobe's specification of XMP has it, part 3.
_XMP_BOX: Final = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_HEADER_BYTES: Final = 8 + len(_XMP_BOX)
_MOST_BYTES: Final = 1 << 20
_FIRST_BOXES: Final = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC_EXT: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE: Final = f"{{{_IPTC_EXT}}}DigitalSourceType"

_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
  <rdf:RDF xmlns:rdf="{rdf}">
    <rdf:Description rdf:about=""
        xmlns:dc="http://purl.org/dc/elements/1.1/"
        xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmlns:Iptc4xmpExt="{iptc_ext}">
      <xmp:CreatorTool>{tool}</xmp:CreatorTool>
      <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
      <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
      <Iptc4xmpExt:AISystemUsed>{model}</Iptc4xmpExt:AISystemUsed>
    </rdf:Description>
  </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def packet_of(credits_: Credits, tool: str) -> bytes:
    """The packet for a film. It holds no time, so that the same film has the same bytes.

    Args:
        credits_: What made the film.
        tool: Name and version of the program that joined it.
    """
    return _PACKET.format(
        rdf=_RDF,
        iptc_ext=_IPTC_EXT,
        tool=_text(tool),
        title=_text(credits_.title),
        source_type=credits_.source_type,
        model=_text(credits_.model),
    ).encode()


def put_xmp(path: Path, packet: bytes) -> bool:
    """Put a packet at the end of an MP4, MOV, WebP or GIF, in place; one that stands there already is replaced.

    Returns:
        Whether it could be: a WebP of the simple kind has no place for it.

    Raises:
        MediaError: The file is damaged, of another kind, or has its packet at another place.
    """
    if is_webp(path):
        return put_in_webp(path, packet)
    if is_gif(path):
        put_in_gif(path, packet)
    else:
        _put_in_box(path, packet)
    return True


def _put_in_box(path: Path, packet: bytes) -> None:
    boxes = top_level_boxes(path)
    with path.open("r+b") as file:
        marked = [box for box in boxes if _is_xmp(path, box)]
        # A last box that says «to the end of the file» would swallow what follows.
        if not boxes or boxes[-1].end != path.stat().st_size or _is_open_ended(path, boxes[-1]):
            raise MediaError("this file is no row of whole boxes, so nothing can be put behind them", file=str(path))
        if marked not in ([], [boxes[-1]]):
            raise MediaError("this file has XMP already, in its middle", file=str(path))
        file.seek(marked[0].start if marked else boxes[-1].end)
        file.truncate()
        file.write((_HEADER_BYTES + len(packet)).to_bytes(4) + b"uuid" + _XMP_BOX + packet)


def read_xmp(path: Path) -> bytes | None:
    """The packet of a file; None where there is none, or where it is of another kind.

    Raises:
        MediaError: It is a damaged WebP.
    """
    if is_webp(path):
        return read_webp(path, _MOST_BYTES)
    if is_gif(path):
        return read_gif(path)
    if _read(path, 4, 4) not in _FIRST_BOXES:
        return None
    for box in top_level_boxes(path):
        if _is_xmp(path, box):
            with path.open("rb") as file:
                file.seek(box.content + len(_XMP_BOX))
                return file.read(min(box.end - file.tell(), _MOST_BYTES))
    return None


def source_type_in(packet: bytes) -> str | None:
    """The digital source type that a packet tells, whoever wrote it; None where it tells none."""
    root = _parsed(packet)
    if root is None:
        return None
    for element in root.iter(f"{{{_RDF}}}Description"):
        told = element.get(_SOURCE_TYPE) or element.findtext(_SOURCE_TYPE)
        if told and told.strip():
            return told.strip()
        for resource in element.iter(_SOURCE_TYPE):
            if named := resource.get(f"{{{_RDF}}}resource"):
                return named
    return None


def _parsed(packet: bytes) -> ET.Element | None:
    # Entities could make a small packet a large one, and no XMP needs any.
    if b"<!DOCTYPE" in packet:
        return None
    try:
        return ET.fromstring(packet.strip(b"\0 \r\n\t"))  # noqa: S314 -- see above
    except (ET.ParseError, LookupError, ValueError):
        return None


def _text(text: str) -> str:
    """Escaped, without the characters that XML has no word for."""
    return escape("".join(char for char in text if char.isprintable() or char in "\n\t"))


def _is_xmp(path: Path, box: Box) -> bool:
    return box.kind == "uuid" and _read(path, box.content, len(_XMP_BOX)) == _XMP_BOX


def _is_open_ended(path: Path, box: Box) -> bool:
    return _read(path, box.start, 4) == bytes(4)


def _read(path: Path, start: int, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size_bytes)
