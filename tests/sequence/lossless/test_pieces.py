from __future__ import annotations

import asyncio
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.frame import VideoFrame

from tasks.errors import MediaError
from tasks.sequence.lossless.avcc import read_avcc
from tasks.sequence.lossless.coded import read_coded
from tasks.sequence.lossless.pieces import Piece, prepare
from tasks.sequence.timeline import Cut, FilmLayout
from tests.media.barclips import code_of, remuxed
from tests.sequence.conftest import names
from tests.sequence.lossless.conftest import FILM, PYRAMIDS, USUAL, cut_of, write_clip, write_row


def decoded(piece: Piece) -> list[VideoFrame]:
    """All frames of a piece, by a decoder that is told what the piece says."""
    decoder = CodecContext.create("h264", "r")
    decoder.extradata = piece.extradata
    with av.open(str(piece.clip)) as clip:
        packets = [bytes(packet) for packet in clip.demux(video=0) if packet.size][: piece.copied]
    packets += piece.tail_packets()
    return [frame for data in packets for frame in decoder.decode(Packet(data))] + decoder.decode(None)


@pytest.mark.parametrize("stop", [2, 3, 6, 7, 60, 118, 119, 120, 121])
async def test_a_piece_ends_where_its_cut_does(tmp_path: Path, stop: int) -> None:
    clip = write_clip(tmp_path / "a.mp4", settings=PYRAMIDS)

    piece = await prepare(cut_of(clip, stop=stop), cut_of(clip, start=1), FILM, tmp_path / "kept")

    assert [code_of(frame) for frame in decoded(piece)] == list(range(stop - 1))
    assert piece.frames == stop - 1
    assert piece.encoded <= 3
    assert piece.extradata == read_coded(clip).extradata  # as if it were of the same encoder


async def test_without_a_shared_frame_all_is_copied(tmp_path: Path, row: list[Cut]) -> None:
    for later in (None, replace(row[1], start=0, frames=121)):
        piece = await prepare(row[0], later, FILM, tmp_path)

        assert (piece.copied, piece.encoded, piece.tail, piece.frames) == (121, 0, None, 121)


async def test_without_b_frames_all_is_copied(tmp_path: Path) -> None:
    first, second = write_row(tmp_path, 2, frames=25, settings={**USUAL, "bf": "0"})

    piece = await prepare(first, second, FILM, tmp_path / "kept")

    assert (piece.copied, piece.encoded) == (24, 0)
    assert [code_of(frame) for frame in decoded(piece)] == list(range(24))


X264 = {
    "medium": {"preset": "medium", "x264-params": "b-adapt=0"},
    "slow, many references": {"preset": "slower", "refs": "8", "bf": "8"},
    "no pyramids": {"preset": "veryfast", "x264-params": "b-pyramid=none:b-adapt=0"},
    "main": {"preset": "medium", "profile": "main", "x264-params": "b-adapt=0"},
    "a quantizer": {"preset": "fast", "qp": "24", "x264-params": "b-adapt=0"},
    "a bit rate": {"preset": "fast", "b": "200k", "x264-params": "b-adapt=0"},
    "CAVLC": {"preset": "fast", "x264-params": "cabac=0:b-adapt=0"},
    "no 8x8dct": {"preset": "fast", "x264-params": "8x8dct=0:b-adapt=0:weightb=0:weightp=0"},
    "another matrix": {"preset": "fast", "x264-params": "cqm=jvt:b-adapt=0"},
    "offset chroma": {"preset": "slow", "x264-params": "chroma-qp-offset=3:b-adapt=0"},
    "the emulator's": {"preset": "ultrafast", "bf": "2", "x264-params": "b-adapt=0:cabac=1:8x8dct=1:weightp=1:mbtree=1:rc-lookahead=10"},
}  # fmt: skip


@pytest.mark.parametrize("kind", X264)
async def test_x264_agrees_with_what_it_said_before(tmp_path: Path, kind: str) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=31, settings=X264[kind])

    piece = await prepare(cut_of(clip, stop=24), cut_of(clip, start=1), FILM, tmp_path / "kept")

    assert piece.encoded > 0
    assert piece.extradata == read_coded(clip).extradata
    frames = decoded(piece)
    assert [code_of(frame) for frame in frames] == list(range(23))


async def test_frames_of_an_unknown_encoder_have_sets_of_their_own(tmp_path: Path) -> None:
    known = write_clip(tmp_path / "known.mp4", settings=PYRAMIDS)
    clip = remuxed(known, tmp_path / "clip.mp4", "-bsf:v", "filter_units=remove_types=6")

    piece = await prepare(cut_of(clip, stop=120), cut_of(clip, start=1), FILM, tmp_path / "kept")

    sets = read_avcc(piece.extradata)
    assert sets is not None
    assert (sets.sps_numbers, sets.pps_numbers) == ([0, 1], [0, 1])
    assert (len(sets.sps), len(sets.pps)) == (2, 2)
    assert piece.encoded > 0
    assert [code_of(frame) for frame in decoded(piece)] == list(range(119))


async def test_what_is_encoded_again_stays_near(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", settings=PYRAMIDS)
    silent = remuxed(clip, tmp_path / "silent.mp4", "-bsf:v", "filter_units=remove_types=6")
    with av.open(str(clip)) as container:
        source = [frame.to_ndarray().astype(int) for frame in container.decode(video=0)]

    for made in (clip, silent):
        piece = await prepare(cut_of(made, stop=120), cut_of(made, start=1), FILM, tmp_path / "kept")
        errors = [
            ((frame.to_ndarray().astype(int) - wanted) ** 2).mean()
            for frame, wanted in zip(decoded(piece), source, strict=False)
        ]

        assert len(errors) == 119
        assert errors[: piece.copied] == [0] * piece.copied
        # 0.65 of a code value squared is 50 dB.
        assert all(0 < error < 0.65 for error in errors[piece.copied :])


async def test_keyframes_that_follow_one_another_bear_different_numbers(tmp_path: Path) -> None:
    # One frame encoded again between two clips: three keyframes, of which two could be taken for one.
    settings = {**USUAL, "x264-params": "b-adapt=0:bframes=1:scenecut=0"}
    first, second = write_row(tmp_path, 2, frames=25, settings=settings)
    piece = await prepare(replace(first, stop=3, frames=3), second, FILM, tmp_path / "kept")

    assert (piece.copied, piece.encoded) == (1, 1)
    (tail,) = piece.tail_packets()
    # After the header: bits 1 (first block), 0001000 (an intra slice), 1 (its set), 4 of the frame's number, then its own.
    assert [tail[4] & 0x1F, f"{int.from_bytes(tail[5:8]):024b}"[:16]] == [5, "1" + "0001000" + "1" + "0000" + "010"]


async def test_it_is_made_once(tmp_path: Path, pyramids: list[Cut]) -> None:
    first = await prepare(pyramids[0], pyramids[1], FILM, tmp_path / "kept")
    made = names(tmp_path / "kept")
    moved = pyramids[0].clip.rename(pyramids[0].clip.with_name("moved.mp4"))
    try:
        again = await prepare(replace(pyramids[0], clip=moved, shot="renamed"), pyramids[1], FILM, tmp_path / "kept")
    finally:
        moved.rename(pyramids[0].clip)

    assert again == replace(first, clip=moved, shot="renamed")
    assert names(tmp_path / "kept") == made


async def test_what_was_damaged_is_made_again(tmp_path: Path, pyramids: list[Cut]) -> None:
    first = await prepare(pyramids[0], pyramids[1], FILM, tmp_path)
    assert first.tail is not None
    whole = first.tail.read_bytes()
    note = first.tail.with_suffix(".note")
    noted = note.read_bytes()

    for path, bytes_left in (
        (first.tail, whole[:-1]),
        (first.tail, b"\0" * len(whole)),
        (note, noted[:9]),
        (note, b"[]"),
        (note, noted.replace(b'"copied": 117', b'"copied": 116')),
    ):
        path.write_bytes(bytes_left)
        assert await prepare(pyramids[0], pyramids[1], FILM, tmp_path) == first
        assert (first.tail.read_bytes(), note.read_bytes()) == (whole, noted)
    first.tail.unlink()
    assert await prepare(pyramids[0], pyramids[1], FILM, tmp_path) == first
    assert first.tail.read_bytes() == whole


async def test_another_film_has_pieces_of_its_own(tmp_path: Path, pyramids: list[Cut]) -> None:
    await prepare(pyramids[0], pyramids[1], FILM, tmp_path)
    before = len(names(tmp_path))

    for earlier, later in (
        (pyramids[0], None),
        (replace(pyramids[0], stop=99, frames=99), pyramids[1]),
        (replace(pyramids[0], clip_id="other"), pyramids[1]),
        (pyramids[0], replace(pyramids[1], clip_id="other")),
    ):
        await prepare(earlier, later, FILM, tmp_path)
        assert len(names(tmp_path)) > before
        before = len(names(tmp_path))


async def test_a_clip_without_enough_frames_is_told_with_its_shot(tmp_path: Path, row: list[Cut]) -> None:
    with pytest.raises(MediaError, match="this clip has 121 frames, not 122") as caught:
        await prepare(replace(row[0], stop=123, frames=123), row[1], FILM, tmp_path)

    assert caught.value.shot == row[0].shot
    assert caught.value.file == str(row[0].clip)
    assert names(tmp_path) == []


async def test_damaged_pictures_are_not_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    coded = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][60]
        assert packet.pos is not None
        coded[packet.pos + 4 : packet.pos + packet.size] = b"\xff" * (packet.size - 4)
    clip.write_bytes(coded)

    for later in (cut_of(clip, start=1), None):
        with pytest.raises(MediaError, match=r"cannot be decoded|come out where|is damaged|does not have") as caught:
            await prepare(cut_of(clip), later, FILM, tmp_path / "kept")
        assert caught.value.shot == "a"
    assert names(tmp_path / "kept") == []


async def test_the_seam_itself_is_decoded(tmp_path: Path) -> None:
    first, second = write_row(tmp_path, 2, frames=25)
    other = write_clip(tmp_path / "other.mp4", frames=25, layout=FilmLayout(96, 160, Fraction(24)))

    with pytest.raises(MediaError, match=r"is damaged where it is to be joined|come out where|cannot be decoded"):
        await prepare(first, replace(second, clip=other), FILM, tmp_path / "kept")


async def test_many_at_once(tmp_path: Path) -> None:
    cuts = write_row(tmp_path, 9, frames=13)

    pieces = await asyncio.gather(
        *(prepare(cut, later, FILM, tmp_path / "kept") for cut, later in zip(cuts, [*cuts[1:], None], strict=True))
    )

    assert [piece.shot for piece in pieces] == [cut.shot for cut in cuts]
    assert sum(piece.frames for piece in pieces) == 9 * 12 + 1


async def test_cancelling_leaves_nothing_half_made(tmp_path: Path, row: list[Cut]) -> None:
    preparing = [asyncio.create_task(prepare(cut, row[0], FILM, tmp_path / "kept")) for cut in row]
    await asyncio.sleep(0.03)
    for one in preparing:
        one.cancel()

    assert all(
        isinstance(result, asyncio.CancelledError | Piece)
        for result in await asyncio.gather(*preparing, return_exceptions=True)
    )
    assert not [name for name in names(tmp_path / "kept") if name.startswith(".")]
    assert (await prepare(row[0], row[1], FILM, tmp_path / "kept")).frames == 120
