from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.errors import FilmWrong, MediaError
from tasks.sequence.captions import Caption
from tasks.sequence.chapters import Chapter
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.join import Beside, Stretch, join
from tasks.sequence.timeline import Cut, FilmLayout, sample_at, starts
from tasks.sequence.verify import check_film
from tests.media.barclips import bar_clip, codes_of, peak_s, remuxed, sound_of
from tests.sequence.conftest import Conform, names
from tests.sequence.rows import film_of, row_of, sound_of_row

FILM = FilmLayout(320, 180, Fraction(24))
MILLISECOND = 0.001


async def test_a_chain_of_clips_shows_every_frame_once(tmp_path: Path, conform_clip: Conform) -> None:
    # The last frame of each clip is the first of the next one.
    clips = [bar_clip(tmp_path / f"{number}.mp4", first=number * 120) for number in range(4)]
    parts = [await conform_clip(clip, FILM, 0 if number == 0 else 1) for number, clip in enumerate(clips)]

    facts = await film_of(parts, FILM, tmp_path / "film.mp4", tags={"title": "Ti=t'le; é"})

    assert codes_of(tmp_path / "film.mp4") == list(range(481))
    assert (facts.frames, facts.duration_s, facts.has_sound) == (481, Decimal("20.042"), False)
    assert facts.size_bytes == (tmp_path / "film.mp4").stat().st_size
    assert facts.sha256 == sha256((tmp_path / "film.mp4").read_bytes()).hexdigest()
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert film.metadata["title"] == "Ti=t'le; é"
        assert not film.streams.audio


async def test_sound_stays_with_the_picture_to_the_end(tmp_path: Path, conform_clip: Conform) -> None:
    silent = bar_clip(tmp_path / "silent.mp4", frames=49)
    loud = bar_clip(tmp_path / "loud.mov", frames=49, sound_s=2, clicks_s=[1.0], sound_codec="pcm_s16le")
    coded = bar_clip(tmp_path / "coded.mp4", frames=49, sound_s=9, clicks_s=[1.0])
    # 98 parts; the first one is silent, and so is every fourth.
    row = [await conform_clip(clip, FILM, 1, 49) for clip in (silent, loud, coded, loud)]
    parts = [row[number % 4] for number in range(98)]

    facts = await film_of(parts, FILM, tmp_path / "film.mp4")
    sound = sound_of(tmp_path / "film.mp4")

    begins = starts(part.frames for part in parts)
    assert facts.frames == begins[-1] == 98 * 48
    for number in (1, 2, 49, 97):
        click_s = begins[number] / 24 + 1 - 1 / 24
        assert abs(peak_s(sound, click_s) - click_s) < MILLISECOND
    for number in (0, 4, 96):
        quiet = sound[sample_at(begins[number], FILM.rate) + 2000 : sample_at(begins[number + 1], FILM.rate) - 2000]
        assert np.abs(quiet).max() < 0.001


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)])
async def test_hundreds_of_short_parts(tmp_path: Path, conform_clip: Conform, rate: Fraction) -> None:
    layout = FilmLayout(64, 36, rate)
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, width=64, height=36, rate=rate, sound_s=0.3)
    row = [await conform_clip(clip, layout, start, stop) for start, stop in [(0, 3), (3, 4), (4, 6), (6, 12)]]
    parts = row * 75

    facts = await film_of(parts, layout, tmp_path / "film.mp4")

    assert facts.frames == 900
    assert codes_of(tmp_path / "film.mp4") == list(range(12)) * 75
    assert abs(len(sound_of(tmp_path / "film.mp4")) - sample_at(900, rate)) <= 1024


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30)])
async def test_rounding_does_not_add_up_over_parts(tmp_path: Path, conform_clip: Conform, rate: Fraction) -> None:
    # A frame is a third of a microsecond off in microseconds; after 300 of them that is more than a tick.
    layout = FilmLayout(64, 36, rate)
    clip = bar_clip(tmp_path / "clip.mp4", frames=4, width=64, height=36, rate=rate)
    parts = [await conform_clip(clip, layout, 2, 3)] * 400

    assert (await film_of(parts, layout, tmp_path / "film.mp4")).frames == 400
    assert codes_of(tmp_path / "film.mp4") == [2] * 400


async def test_mixed_clips_become_one_film(tmp_path: Path, conform_clip: Conform) -> None:
    clips = [
        bar_clip(tmp_path / "a.mp4", frames=24),
        bar_clip(tmp_path / "b.mp4", frames=30, rate=Fraction(30), width=640, height=360, sound_s=1),
        bar_clip(tmp_path / "c.webm", frames=24, codec="libvpx-vp9"),
        bar_clip(tmp_path / "d.mov", frames=25, rate=Fraction(25), full_range=True),
    ]
    parts = [await conform_clip(clip, FILM, 0, frames) for clip, frames in zip(clips, (24, 30, 24, 25), strict=True)]

    facts = await film_of(parts, FILM, tmp_path / "film.mp4")

    codes = codes_of(tmp_path / "film.mp4")
    assert facts.frames == len(codes) == 96
    assert codes[:24] == codes[48:72] == list(range(24))


async def test_folders_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a «"folder"» = 50%, \\ äöü [v]; #1'
    folder.mkdir()
    clip = bar_clip(tmp_path / "clip.mp4", frames=6, sound_s=0.2)
    cut = Cut(shot="a", clip=clip.rename(folder / clip.name), clip_id="a", start=0, stop=6, frames=6)
    part = await conform(cut, FILM, folder)

    await film_of([part, part], FILM, folder / "film's.mp4")

    assert codes_of(folder / "film's.mp4") == list(range(6)) * 2
    assert len(names(folder)) == 6


async def test_no_parts_no_film(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="at least one part"):
        await film_of([], FILM, tmp_path / "film.mp4")

    assert names(tmp_path) == []


async def test_a_film_that_is_wrong_does_not_appear(tmp_path: Path, conform_clip: Conform) -> None:
    part = await conform_clip(bar_clip(tmp_path / "clip.mp4", frames=12), FILM, 0, 12)
    lying = Conformed(part.shot, part.picture, part.sound, frames=13)
    (tmp_path / "film.mp4").write_bytes(b"the film of last time")

    with pytest.raises(FilmWrong):
        await film_of([part, lying], FILM, tmp_path / "film.mp4")

    assert (tmp_path / "film.mp4").read_bytes() == b"the film of last time"
    assert not any(name.startswith(".") for name in names(tmp_path))


async def test_cancelling_leaves_nothing_behind(tmp_path: Path, conform_clip: Conform) -> None:
    part = await conform_clip(bar_clip(tmp_path / "clip.mp4", frames=48), FILM, 0, 48)
    making = asyncio.create_task(film_of([part] * 400, FILM, tmp_path / "film.mp4"))
    await asyncio.sleep(0.05)

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making

    assert not (tmp_path / "film.mp4").exists()
    assert not any(name.startswith(".") for name in names(tmp_path))


@pytest.fixture
async def part(tmp_path: Path, conform_clip: Conform) -> Conformed:
    return await conform_clip(bar_clip(tmp_path / "clip.mp4", frames=24, sound_s=1), FILM, 0, 24)


async def test_why_parts_cannot_be_joined_is_told(tmp_path: Path, part: Conformed) -> None:
    (tmp_path / "broken.mp4").write_bytes(part.picture.read_bytes()[:200])

    with pytest.raises(MediaError, match="could not join 3 parts") as told:
        await join([*row_of([part, part]), Stretch(tmp_path / "broken.mp4", 24)], FILM, tmp_path / "film.mp4", Beside())

    assert "broken.mp4" in told.value.message
    # All but the first part are opened without decoding, and ffmpeg has words of its own for that.
    assert "whitelist" not in told.value.message
    assert not (tmp_path / "film.mp4").exists()


def digest_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def damage_picture(film: Path, picture: Path) -> None:
    """Flip a bit of a coded picture that a film has of a part."""
    with av.open(str(picture)) as part:
        coded = bytes(next(packet for packet in part.demux(video=0) if packet.size > 100))
    whole = film.read_bytes()
    place = whole.index(coded) + len(coded) // 2
    film.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


class TestTheCheck:
    """Whatever is not as it was to be is told, with what it is instead."""

    @pytest.fixture
    async def sound(self, tmp_path: Path, part: Conformed) -> Path:
        made = await sound_of_row([part], FILM, tmp_path / "sound")
        assert made is not None
        return made.path

    @pytest.fixture
    async def film(self, tmp_path: Path, part: Conformed, sound: Path) -> Path:
        await join(row_of([part]), FILM, tmp_path / "film.mp4", Beside(sound))
        return tmp_path / "film.mp4"

    async def test_passes_what_is_right(self, film: Path, part: Conformed, sound: Path) -> None:
        facts = await check_film(film, FILM, row_of([part]), sound)

        assert (facts.frames, facts.has_sound, facts.sha256) == (24, True, digest_of(film))

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("layout", "frames", "difference"),
        [
            (FILM, 25, "a part of the film has 24 frames, not 25"),
            (FilmLayout(640, 360, Fraction(24)), 24, "320x180 pixels, not 640x360"),
            (FilmLayout(320, 180, Fraction(25)), 24, "frame 1 of the film is shown"),
        ],
    )
    async def test_names_the_difference(
        self, film: Path, part: Conformed, sound: Path, layout: FilmLayout, frames: int, difference: str
    ) -> None:
        with pytest.raises(FilmWrong, match=difference):
            await check_film(film, layout, [Stretch(part.picture, frames)], sound)

    async def test_knows_which_tracks_there_are(self, film: Path, part: Conformed, sound: Path) -> None:
        with pytest.raises(FilmWrong, match="has a sound track"):
            await check_film(film, FILM, row_of([part]), None)
        with pytest.raises(FilmWrong, match="has no track of captions"):
            await check_film(film, FILM, row_of([part]), sound, has_captions=True)

    async def test_finds_a_picture_that_is_another_one(
        self, tmp_path: Path, film: Path, part: Conformed, sound: Path, conform_clip: Conform
    ) -> None:
        other = await conform_clip(bar_clip(tmp_path / "other.mp4", frames=24, first=1), FILM, 0, 24)

        with pytest.raises(FilmWrong, match="frame 0 of the film, as coded, is not that of"):
            await check_film(film, FILM, row_of([other]), sound)

    async def test_finds_a_byte_that_is_another_one(self, film: Path, part: Conformed, sound: Path) -> None:
        damage_picture(film, part.picture)

        with pytest.raises(FilmWrong, match="as coded, is not that of"):
            await check_film(film, FILM, row_of([part]), sound)

    async def test_finds_a_frame_too_few_and_one_too_many(self, film: Path, part: Conformed, sound: Path) -> None:
        with pytest.raises(FilmWrong, match="frame 24 of the film, as coded"):
            await check_film(film, FILM, row_of([part, part]), sound)
        with pytest.raises(FilmWrong, match="has more than 0 frames"):
            await check_film(film, FILM, [], sound)

    async def test_finds_another_sound(
        self, tmp_path: Path, film: Path, part: Conformed, conform_clip: Conform
    ) -> None:
        clip = bar_clip(tmp_path / "clicks.mp4", frames=24, sound_s=1, clicks_s=[0.5])
        other = await sound_of_row([await conform_clip(clip, FILM, 0, 24)], FILM, tmp_path / "other")
        assert other is not None

        with pytest.raises(FilmWrong, match="of the film's sound is another one"):
            await check_film(film, FILM, row_of([part]), other.path)

    async def test_finds_sound_of_another_length(
        self, tmp_path: Path, film: Path, part: Conformed, sound: Path
    ) -> None:
        short = remuxed(film, tmp_path / "short.mp4", "-map", "0", "-c", "copy", "-movflags", "+faststart", "-t", "0.5")

        with pytest.raises(FilmWrong):
            await check_film(short, FILM, row_of([part]), sound)

    async def test_finds_uneven_times_and_an_index_at_the_end(self, tmp_path: Path) -> None:
        uneven = bar_clip(tmp_path / "uneven.mp4", frames=10, times=[0, 1, 2, 3, 4, 6, 7, 8, 9, 10])

        with pytest.raises(FilmWrong, match="behind its pictures"):
            await check_film(uneven, FILM, [], None)
        with pytest.raises(FilmWrong, match="3 runs of durations"):
            await check_film(remuxed(uneven, tmp_path / "fast.mp4", "-movflags", "+faststart"), FILM, [], None)


async def test_captions_and_chapters_are_inside(tmp_path: Path, part: Conformed) -> None:
    captions = [Caption(0, 24, "Once upon a time"), Caption(30, 48, "The end <b> & {a}")]

    await film_of(
        [part, part], FILM, tmp_path / "film.mp4", captions=captions, chapters=[Chapter(0, "one"), Chapter(24, "two")]
    )

    with av.open(str(tmp_path / "film.mp4")) as film:
        assert [(it["metadata"]["title"], it["start"] * (it["time_base"] or 0)) for it in film.chapters()] == [
            ("one", 0),
            ("two", 1),
        ]
        (track,) = film.streams.subtitles
        told = [
            (packet.pts * packet.time_base, bytes(packet)[2:].decode())
            for packet in film.demux(track)
            if packet.size > 2 and packet.pts is not None and packet.time_base is not None
        ]
    assert [(float(at_s), text.split("\x00")[0]) for at_s, text in told] == [
        (0.0, "Once upon a time"),
        (1.25, "The end <b> & (a)"),
    ]
    assert codes_of(tmp_path / "film.mp4") == list(range(24)) * 2
