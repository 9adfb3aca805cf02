from __future__ import annotations

import asyncio
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from tasks.errors import MediaError
from tasks.media.boxes import video_time_runs
from tasks.media.ffmpeg import binary
from tasks.sequence.join import Beside, Stretch, put_beside
from tasks.sequence.lossless.avcc import read_avcc
from tasks.sequence.lossless.joined import JoinedPictures, join_lossless
from tasks.sequence.lossless.pieces import prepare
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.sequence.verify import check_film
from tests.media.barclips import click_track, codes_of, peak_s, remuxed, sound_of
from tests.sequence.conftest import names
from tests.sequence.lossless.conftest import FILM, PYRAMIDS, USUAL, cut_of, hashes_of, write_clip, write_row

# As the emulator makes clips; and with keyframes on the way that frames before them lean on.
EMULATED = {**PYRAMIDS, "preset": "ultrafast", "bf": "2"}
OPEN_GROUPS = {**USUAL, "x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:b-adapt=0:bframes=3"}
RATES = [Fraction(24), Fraction(24000, 1001), Fraction(30)]


class Stream(NamedTuple):
    """What a player is told of the pictures, and every packet with its times."""

    told: bytes
    time_base: Fraction | None
    rate: Fraction | None
    start: int | None
    length: int | None
    tags: tuple[int, int, int, int]
    packets: list[tuple[int | None, int | None, bool, str]]


def stream_of(film: Path) -> Stream:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return Stream(
            bytes(context.extradata or b""),
            stream.time_base,
            stream.average_rate,
            stream.start_time,
            stream.duration,
            (int(context.color_range), int(context.colorspace), int(context.color_primaries), int(context.color_trc)),
            [
                (packet.pts, packet.dts, packet.is_keyframe, sha256(bytes(packet)).hexdigest())
                for packet in container.demux(stream)
                if packet.size
            ],
        )


def hashes_by_binary(film: Path) -> list[str]:
    """A hash of each decoded frame by the ffmpeg that is a program: another version than the one inside PyAV."""
    command = [binary(), "-v", "error", "-xerror", "-i", str(film), "-map", "0:v", "-f", "framehash", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert not done.stderr
    lines = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    assert [int(line[2]) for line in lines] == list(range(len(lines)))  # each frame one step after the one before
    return [line[-1].strip() for line in lines]


def sources_of(cuts: Sequence[Cut]) -> list[str]:
    """A hash of each frame that the film should have, decoded from the clips."""
    frames = [hashes_of(cut.clip)[: cut.stop] for cut in cuts]
    return [frame for number, clip in enumerate(frames) for frame in (clip[:-1] if shared(cuts, number) else clip)]


def shared(cuts: Sequence[Cut], number: int) -> bool:
    return number + 1 < len(cuts) and cuts[number + 1].start == 1


def silenced(cut: Cut, folder: Path) -> Cut:
    """The same cut of the same clip, which does not say any more what made it."""
    silent = remuxed(cut.clip, folder / f"silent-{cut.clip.name}", "-bsf:v", "filter_units=remove_types=6")
    return replace(cut, clip=silent, clip_id=f"silent {cut.clip_id}")


@pytest.fixture(scope="session")
def joined(tmp_path_factory: pytest.TempPathFactory, pyramids: list[Cut]) -> JoinedPictures:
    """The film of the pyramids."""
    folder = tmp_path_factory.mktemp("joined")
    return asyncio.run(join_lossless(pyramids, FILM, folder / "film.mp4", folder / "kept"))


async def test_a_film_has_every_frame_once_and_they_are_the_clips_own(tmp_path: Path, row: list[Cut]) -> None:
    film = tmp_path / "film.mp4"
    joined = await join_lossless(row, FILM, film, tmp_path / "kept")

    assert codes_of(film) == list(range(601))
    assert (joined.path, joined.frames) == (film, 601)
    assert [shot for shot, _ in joined.encoded] == [cut.shot for cut in row]
    assert joined.copied == 601 - sum(count for _, count in joined.encoded)
    same = sum(found == wanted for found, wanted in zip(hashes_of(film), sources_of(row), strict=True))
    assert same == joined.copied
    assert joined.copied >= joined.frames * Fraction(99, 100)


async def test_at_worst_three_frames_a_seam_are_encoded_again(joined: JoinedPictures, pyramids: list[Cut]) -> None:
    found, wanted = hashes_of(joined.path), sources_of(pyramids)

    assert [count for _, count in joined.encoded] == [3, 3, 3, 3, 0]
    other = [number for number, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]]
    assert other == [seam + frame for seam in (117, 237, 357, 477) for frame in range(3)]
    assert codes_of(joined.path) == list(range(601))


@pytest.mark.thorough
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("settings", [{**USUAL, "bf": "0"}, PYRAMIDS, EMULATED, OPEN_GROUPS])
async def test_rates_and_orders(tmp_path: Path, rate: Fraction, settings: dict[str, str]) -> None:
    layout = FilmLayout(96, 64, rate)
    cuts = write_row(tmp_path, 4, frames=14, layout=layout, settings=settings)

    joined = await join_lossless(cuts, layout, tmp_path / "film.mp4", tmp_path / "kept")

    assert joined.frames == 53
    assert codes_of(tmp_path / "film.mp4") == list(range(53))
    assert hashes_by_binary(tmp_path / "film.mp4")  # and its times are even
    stream = stream_of(tmp_path / "film.mp4")
    assert video_time_runs(tmp_path / "film.mp4") == 1
    assert (stream.time_base, stream.rate, stream.start) == (Fraction(1, layout.timescale), rate, 0)
    assert stream.length == 53 * layout.frame_ticks
    decoded = [dts for _, dts, *_ in stream.packets]
    ahead = -(decoded[0] or 0)
    assert decoded == [number * layout.frame_ticks - ahead for number in range(53)]
    assert all(dts <= pts for pts, dts, *_ in stream.packets if pts is not None and dts is not None)


async def test_two_decoders_agree_frame_by_frame(joined: JoinedPictures) -> None:
    assert hashes_by_binary(joined.path) == hashes_of(joined.path)


async def test_trimmed_cuts_and_cuts_without_a_shared_frame(tmp_path: Path, pyramids: list[Cut]) -> None:
    # The third begins with the frame at which the trimmed second ends; the fourth shares nothing.
    third = cut_of(write_clip(tmp_path / "third.mp4", first=120 + 49, settings=PYRAMIDS, frames=30), start=1, stop=18)
    cuts = [
        replace(pyramids[0], stop=121, frames=121),
        replace(pyramids[1], stop=50, frames=49),
        third,
        replace(pyramids[3], start=0, stop=7, frames=7),
        replace(pyramids[0], start=0, stop=1, frames=1),
    ]

    joined = await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    expected = [*range(120 + 49), *range(120 + 49, 120 + 49 + 18), *range(360, 367), 0]
    assert codes_of(tmp_path / "film.mp4") == expected
    assert joined.frames == len(expected) == sum(cut.frames for cut in cuts)
    same = sum(a == b for a, b in zip(hashes_of(joined.path), sources_of(cuts), strict=True))
    assert same == joined.copied


async def test_clips_of_an_unknown_encoder(tmp_path: Path, pyramids: list[Cut]) -> None:
    cuts = [silenced(cut, tmp_path) for cut in pyramids]

    joined = await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    sets = read_avcc(stream_of(joined.path).told)
    assert sets is not None
    assert len(sets.sps) == 2
    assert (sets.sps_numbers, sets.pps_numbers) == ([0, 1], [0, 1])
    assert codes_of(joined.path) == list(range(601))
    assert hashes_by_binary(joined.path) == hashes_of(joined.path)
    assert sum(a == b for a, b in zip(hashes_of(joined.path), sources_of(cuts), strict=True)) == joined.copied == 589


async def test_clips_of_another_encoder(tmp_path: Path, row: list[Cut]) -> None:
    cuts = []
    for cut in row:
        made = remuxed(cut.clip, tmp_path / cut.clip.name, "-c:v", "libopenh264", "-b:v", "300k", "-profile:v", "high")
        cuts.append(replace(cut, clip=made, clip_id=f"openh264 {cut.clip_id}"))

    joined = await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    assert codes_of(joined.path) == list(range(601))
    assert joined.copied == joined.frames  # it makes no B-frames
    assert hashes_of(joined.path) == hashes_by_binary(joined.path) == sources_of(cuts)


async def test_other_containers_and_ticks(tmp_path: Path, pyramids: list[Cut]) -> None:
    others = [
        pyramids[0].clip,
        remuxed(pyramids[1].clip, tmp_path / "1.mkv"),
        remuxed(pyramids[2].clip, tmp_path / "2.mov", "-video_track_timescale", "90000"),
        remuxed(pyramids[3].clip, tmp_path / "3.mp4", "-video_track_timescale", "1000", "-output_ts_offset", "2"),
        pyramids[4].clip,
    ]
    cuts = [replace(cut, clip=clip, clip_id=str(clip)) for cut, clip in zip(pyramids, others, strict=True)]

    joined = await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    assert codes_of(joined.path) == list(range(601))
    assert joined.copied == 589
    assert hashes_by_binary(joined.path) == hashes_of(joined.path)


async def test_clips_may_have_sound_and_files_any_name(tmp_path: Path, pyramids: list[Cut]) -> None:
    folder = tmp_path / 'it\'s a «"folder"» = 50%, \\ äöü [v]; #1\nx'
    folder.mkdir()
    sound = sound_file(tmp_path / "sound.m4a", 5.0, [])
    cuts = []
    for cut in pyramids[:2]:
        options = ("-map", "0:a", "-map", "1:v")
        loud = remuxed(cut.clip, tmp_path / f"loud {cut.shot}.mp4", *options, before=("-i", str(sound)))
        cuts.append(replace(cut, clip=loud.rename(folder / f"it's {cut.shot}\n.mp4")))

    joined = await join_lossless(cuts, FILM, folder / "film's.mp4", folder / "kept")

    assert codes_of(joined.path) == list(range(241))
    with av.open(str(joined.path)) as film:
        assert [stream.type for stream in film.streams] == ["video"]


def sound_file(path: Path, length_s: float, clicks_s: Sequence[float]) -> Path:
    """Silence with clicks, as AAC."""
    samples = click_track(length_s, 0, clicks_s, 48_000)
    command = [binary(), "-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "-", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True, input=samples.tobytes())
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("known", [True, False])
async def test_sound_captions_and_chapters_are_laid_beside_it_by_copying(
    tmp_path: Path, pyramids: list[Cut], known: bool
) -> None:
    cuts = pyramids if known else [silenced(cut, tmp_path) for cut in pyramids]
    pictures = (await join_lossless(cuts, FILM, tmp_path / "pictures.mp4", tmp_path / "kept")).path
    clicks_s = [1.0, 12.5, 24.5]
    sound = sound_file(tmp_path / "sound.m4a", 601 / 24, clicks_s)
    (tmp_path / "captions.vtt").write_text("WEBVTT\n\n00:05.000 --> 00:06.000\nTwo\n")
    (tmp_path / "metadata.txt").write_text(
        ";FFMETADATA1\ntitle=Row\n[CHAPTER]\nTIMEBASE=1/24\nSTART=0\nEND=120\ntitle=one\n"
        "[CHAPTER]\nTIMEBASE=1/24\nSTART=120\nEND=601\ntitle=two\n"
    )
    film = tmp_path / "film.mp4"
    await put_beside(pictures, FILM, film, Beside(sound, tmp_path / "captions.vtt", tmp_path / "metadata.txt"))

    assert stream_of(film) == stream_of(pictures)
    assert video_time_runs(film) == video_time_runs(pictures) == 1
    assert hashes_of(film) == hashes_by_binary(film) == hashes_of(pictures)
    facts = await check_film(film, FILM, [Stretch(pictures, 601)], sound, has_captions=True)
    assert (facts.frames, facts.has_sound) == (601, True)
    heard = sound_of(film)
    assert all(abs(peak_s(heard, click_s) - click_s) < 0.001 for click_s in clicks_s)


async def test_colours_are_tagged_even_where_the_clips_are_not(tmp_path: Path, joined: JoinedPictures) -> None:
    untagged = {"color_range": 0, "colorspace": 2, "color_primaries": 2, "color_trc": 2}
    cuts = write_row(tmp_path, 2, frames=9, tags=untagged, settings=PYRAMIDS)

    film = (await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")).path

    assert stream_of(film).tags == stream_of(joined.path).tags == (1, 1, 1, 1)
    assert hashes_of(film)[:5] == sources_of(cuts)[:5]


async def test_the_same_clips_give_the_same_bytes(tmp_path: Path, joined: JoinedPictures, pyramids: list[Cut]) -> None:
    again = await join_lossless(pyramids, FILM, tmp_path / "again.mp4", tmp_path / "kept")

    assert again.path.read_bytes() == joined.path.read_bytes()


async def test_what_was_prepared_is_only_copied(tmp_path: Path, pyramids: list[Cut]) -> None:
    for earlier, later in zip(pyramids, [*pyramids[1:], None], strict=True):
        await prepare(earlier, later, FILM, tmp_path / "kept")
    made = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}

    await join_lossless(pyramids, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == made


async def test_one_clip_is_a_film(tmp_path: Path, pyramids: list[Cut]) -> None:
    joined = await join_lossless(pyramids[:1], FILM, tmp_path / "film.mp4", tmp_path / "kept")

    assert joined.frames == joined.copied == 121
    assert joined.copied == joined.frames
    assert hashes_of(joined.path) == hashes_of(pyramids[0].clip)


async def test_no_cuts_no_film(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="at least one part"):
        await join_lossless([], FILM, tmp_path / "film.mp4", tmp_path / "kept")


async def test_what_cannot_be_joined_so_is_refused_before_anything_is_made(tmp_path: Path, row: list[Cut]) -> None:
    (tmp_path / "film.mp4").write_bytes(b"the film of last time")

    with pytest.raises(MediaError, match=r"shot '001': 2 of its frames dissolve .* \(and 1 more\)") as caught:
        await join_lossless(
            [row[0], replace(row[1], lead=2), replace(row[2], fade_in=1)],
            FILM,
            tmp_path / "film.mp4",
            tmp_path / "kept",
        )

    assert caught.value.advice is not None
    assert names(tmp_path) == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == b"the film of last time"


async def test_a_damaged_clip_is_told_with_its_shot(tmp_path: Path, pyramids: list[Cut]) -> None:
    damaged = tmp_path / "damaged.mp4"
    coded = bytearray(pyramids[1].clip.read_bytes())
    with av.open(str(pyramids[1].clip)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][60]
        assert packet.pos is not None
        coded[packet.pos + 4 : packet.pos + packet.size] = b"\xff" * (packet.size - 4)
    damaged.write_bytes(coded)
    cuts = [pyramids[0], replace(pyramids[1], clip=damaged, clip_id="damaged"), *pyramids[2:]]

    with pytest.raises(MediaError) as caught:
        await join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept")

    assert caught.value.shot == "001"
    assert not (tmp_path / "film.mp4").exists()


async def test_a_disk_that_is_full_is_told_as_that(tmp_path: Path, pyramids: list[Cut]) -> None:
    for earlier, later in zip(pyramids, [*pyramids[1:], None], strict=True):
        await prepare(earlier, later, FILM, tmp_path / "kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(MediaError, match="the film cannot be written: File too large"):
            await join_lossless(pyramids, FILM, tmp_path / "film.mp4", tmp_path / "kept")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == ["kept"]


async def test_cancelling_leaves_nothing_behind(tmp_path: Path, pyramids: list[Cut]) -> None:
    # Long enough to be cancelled while clips are read, prepared, copied, and held against the film.
    cuts = pyramids * 100
    for pause_s in (0.01, 0.1, 0.4, 0.8):
        joining = asyncio.create_task(join_lossless(cuts, FILM, tmp_path / "film.mp4", tmp_path / "kept"))
        await asyncio.sleep(pause_s)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining

        assert [name for name in names(tmp_path) if name != "kept"] == []
        assert not any(name.startswith(".") for name in names(tmp_path / "kept"))
