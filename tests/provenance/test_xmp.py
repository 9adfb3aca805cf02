"""A film is marked at its end, in place, and nothing else of it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import MediaError
from tasks.media.boxes import moov_before_mdat, top_level_boxes
from tasks.media.frames import decode_whole
from tasks.provenance.credits import Credits
from tasks.provenance.xmp import packet_of, put_xmp, read_xmp, source_type_in

TOOL = "shotchain 1.2"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
BARE = Credits("Dawn", "klingai:kling@o1-standard", "runware", (), ())
ELSEWHERE = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attribute}>{element}</rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def test_all_that_was_there_stays_where_it_was_and_the_mark_is_behind_it(film: Path) -> None:
    before, boxes = film.read_bytes(), top_level_boxes(film)
    put_xmp(film, packet_of(BARE, TOOL))

    assert film.read_bytes().startswith(before)
    assert top_level_boxes(film)[:-1] == boxes
    assert top_level_boxes(film)[-1].kind == "uuid"
    assert film.read_bytes()[len(before) + 8 :][:16].hex() == "be7acfcb97a942e89c71999491e3afac"
    assert moov_before_mdat(film)
    packet = read_xmp(film)
    assert packet is not None
    assert source_type_in(packet) == GENERATED


def test_a_marked_film_is_decoded_as_before(film: Path, master: Path) -> None:
    put_xmp(film, packet_of(BARE, TOOL))

    assert decode_whole(film) == decode_whole(master)


def test_marking_again_replaces_the_mark(film: Path) -> None:
    put_xmp(film, packet_of(replace(BARE, title="A longer title than the other one"), TOOL))
    put_xmp(film, packet_of(BARE, TOOL))
    once = film.read_bytes()
    put_xmp(film, packet_of(BARE, TOOL))

    assert film.read_bytes() == once
    assert once.count(b"DigitalSourceType>") == 2  # its two ends


@given(st.text(max_size=50))
def test_whatever_a_film_is_called_its_packet_can_be_read(title: str) -> None:
    assert source_type_in(packet_of(replace(BARE, title=title), TOOL)) == GENERATED


def test_the_packet_tells_model_tool_and_title() -> None:
    text = packet_of(replace(BARE, title="Dawn & <dusk>"), TOOL).decode()

    assert "<Iptc4xmpExt:AISystemUsed>klingai:kling@o1-standard</Iptc4xmpExt:AISystemUsed>" in text
    assert "<xmp:CreatorTool>shotchain 1.2</xmp:CreatorTool>" in text
    assert "Dawn &amp; &lt;dusk&gt;" in text


@pytest.mark.parametrize(
    ("attribute", "element"),
    [
        (f'e:DigitalSourceType="{GENERATED}"', ""),
        ("", f"<e:DigitalSourceType> {GENERATED}\n</e:DigitalSourceType>"),
        ("", f'<e:DigitalSourceType rdf:resource="{GENERATED}"/>'),
    ],
)
def test_other_programs_ways_of_saying_it_are_read(attribute: str, element: str) -> None:
    assert source_type_in(ELSEWHERE.format(attribute=attribute, element=element).encode()) == GENERATED


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no xml",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        ELSEWHERE.format(attribute="", element="").encode(),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_where_it_is_not_said_nothing_is_told(packet: bytes) -> None:
    assert source_type_in(packet) is None


def test_a_film_that_is_cut_off_or_open_at_its_end_is_not_marked(film: Path) -> None:
    whole = film.read_bytes()
    last = top_level_boxes(film)[-1].start
    for damaged in (whole[:-1], whole[:last] + bytes(4) + whole[last + 4 :]):
        film.write_bytes(damaged)
        with pytest.raises(MediaError, match="no row of whole boxes"):
            put_xmp(film, packet_of(BARE, TOOL))
        assert film.read_bytes() == damaged


def test_xmp_of_somebody_elses_in_its_middle_is_left_alone(film: Path) -> None:
    put_xmp(film, packet_of(BARE, TOOL))
    with film.open("ab") as file:
        file.write(bytes.fromhex("00000008") + b"free")
    before = film.read_bytes()
    with pytest.raises(MediaError, match="has XMP already"):
        put_xmp(film, packet_of(BARE, TOOL))

    assert film.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"RIFF....WEBP", b"\x1a\x45\xdf\xa3", bytes(64)])
def test_another_kind_of_file_has_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)

    assert read_xmp(path) is None
