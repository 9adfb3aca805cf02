from __future__ import annotations

import resource
import subprocess
import tracemalloc
from concurrent.futures import CancelledError
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.errors import MediaError, StorageUnreachable
from tasks.media.ffmpeg import binary
from tasks.media.thread import Stop
from tasks.sequence.sound.decode import BYTES_PER_SAMPLE, write_file_sound, write_sound
from tests.media.barclips import bar_clip, peak_s, remuxed, sound_of

MILLISECOND = 0.001
SECOND = 48_000

Sound = npt.NDArray[np.float32]


def laid(clip: Path, start_s: Fraction, samples: int) -> Sound:
    """What is written of a clip's sound, float32 `(samples, 2)`."""
    output = clip.with_name("laid.f32")
    assert write_sound(clip, start_s, samples, output)
    return np.fromfile(output, dtype="<f4").reshape(-1, 2)


def whole(source: Path) -> Sound:
    """What is written of a sound file, float32 `(samples, 2)`."""
    output = source.with_name("whole.f32")
    samples = write_file_sound(source, output)
    sound = np.fromfile(output, dtype="<f4").reshape(-1, 2)
    assert len(sound) == samples
    return sound


def pcm_file(
    path: Path, samples: npt.ArrayLike, *options: str, rate: int = SECOND, before: tuple[str, ...] = ()
) -> Path:
    """A sound file of float32 samples `(samples, channels)`, coded as its name and the options say."""
    sound = np.asarray(samples, dtype="<f4")
    command = [binary(), "-v", "error", "-y", "-f", "f32le", "-ar", str(rate), "-ac", str(sound.shape[1]), *before]
    subprocess.run([*command, "-i", "-", *options, str(path)], check=True, input=sound.tobytes())
    return path


def clicks(seconds: float, at_s: tuple[float, ...], rate: int = SECOND, channels: int = 2) -> Sound:
    sound = np.zeros((round(seconds * rate), channels), dtype="<f4")
    for click_s in at_s:
        sound[round(click_s * rate) :][: rate // 4000] = 0.8
    return sound


def test_a_clip_without_a_sound_track_has_none(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=10)

    assert not write_sound(clip, Fraction(0), 100, tmp_path / "sound.f32")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        ("mov", "pcm_s16le", 48000),
        ("mov", "pcm_s16le", 44100),
        ("mov", "pcm_s16le", 32000),
        ("mp4", "aac", 48000),
        ("mp4", "aac", 44100),
        ("mp4", "aac", 22050),
    ],
)
def test_a_click_is_where_the_clip_has_it(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    clip = bar_clip(
        tmp_path / f"clip.{suffix}", frames=48, sound_s=2, clicks_s=[0.5, 1.5], sound_codec=codec, sound_rate=rate
    )
    sound = laid(clip, Fraction(0), 96_000)

    assert sound.shape == (96_000, 2)
    for click_s in (0.5, 1.5):
        assert abs(peak_s(sound, click_s) - click_s) < MILLISECOND


def test_sound_of_dropped_frames_is_skipped(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mov", frames=48, sound_s=2, clicks_s=[1.0], sound_codec="pcm_s16le")
    sound = laid(clip, Fraction(1, 24), 48_000)

    assert abs(peak_s(sound, 1 - 1 / 24) - (1 - 1 / 24)) < MILLISECOND


def test_a_start_before_the_clip_is_silence(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mov", frames=48, sound_s=2, clicks_s=[0.25], sound_codec="pcm_s16le")
    sound = laid(clip, Fraction(-1, 2), 48_000)

    assert not sound[:24_000].any()
    assert abs(peak_s(sound, 0.75) - 0.75) < MILLISECOND


def test_before_a_late_start_and_after_an_early_end_is_silence(tmp_path: Path) -> None:
    clip = bar_clip(
        tmp_path / "c.mov", frames=48, sound_s=0.5, sound_from_s=0.75, clicks_s=[0.8, 1.2], sound_codec="pcm_s16le"
    )
    sound = laid(clip, Fraction(0), 96_000)

    assert not sound[:36_000].any()
    assert not sound[60_100:].any()
    assert abs(peak_s(sound, 0.8) - 0.8) < MILLISECOND
    assert abs(peak_s(sound, 1.2) - 1.2) < MILLISECOND


@pytest.mark.parametrize("start_s", [Fraction(3), Fraction(-3)])
def test_a_cut_in_which_no_sound_falls_is_silent(tmp_path: Path, start_s: Fraction) -> None:
    clip = bar_clip(tmp_path / "c.mp4", frames=24, sound_s=1, clicks_s=[0.5])

    assert not laid(clip, start_s, 9600).any()


def test_sound_is_cut_to_what_is_wanted(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mp4", frames=24, sound_s=3, clicks_s=[0.5, 2.5])

    assert write_sound(clip, Fraction(0), 48_000, tmp_path / "sound.f32")

    assert (tmp_path / "sound.f32").stat().st_size == 48_000 * BYTES_PER_SAMPLE


def test_the_ends_of_what_is_wanted_are_left_to_the_mixer(tmp_path: Path) -> None:
    steady = [at / 4000 for at in range(8000)]
    clip = bar_clip(tmp_path / "c.mov", frames=48, sound_s=2, clicks_s=steady, sound_codec="pcm_s16le")

    assert np.abs(laid(clip, Fraction(1, 2), 48_000)).min() > 0.7


def test_sound_that_begins_late_or_stops_short_does_so_over_five_milliseconds(tmp_path: Path) -> None:
    steady = [at / 4000 for at in range(8000)]
    clip = bar_clip(
        tmp_path / "c.mov", frames=48, sound_s=1, sound_from_s=0.5, clicks_s=steady, sound_codec="pcm_s16le"
    )
    sound = np.abs(laid(clip, Fraction(0), 96_000)[:, 0])

    begin, end = np.flatnonzero(sound)[[0, -1]]
    assert abs(begin - 24_000) <= 2
    assert abs(end - 71_999) <= 2
    for edge in (sound[begin : begin + 200], sound[end - 200 : end][::-1]):
        assert (np.diff(edge) > 0).all()
        assert edge[0] < 0.01
    assert sound[begin + 240 : end - 240].min() > 0.7


def test_nothing_is_lost(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mp4", frames=48, sound_s=2, clicks_s=[0.3, 0.31, 1.7])

    np.testing.assert_allclose(laid(clip, Fraction(0), 90_000), sound_of(clip)[:90_000], atol=1e-6)


def test_what_an_edit_list_leaves_out_is_not_heard(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=72, sound_s=3, clicks_s=[0.5, 1.5])
    trimmed = remuxed(clip, tmp_path / "trimmed.mp4", before=("-ss", "1"))
    sound = laid(trimmed, Fraction(0), 72_000)

    assert abs(peak_s(sound, 0.5) - 0.5) < MILLISECOND
    assert np.abs(sound[: SECOND // 3]).max() < 0.01


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_times_in_whole_milliseconds_leave_no_holes(tmp_path: Path, suffix: str) -> None:
    # Matroska rounds times; frames of AAC last 21 1/3 ms, and a hole or an overlap at each would crackle.
    clicks_s = [at / 500 for at in range(1000)]
    codecs = {"codec": "libvpx-vp9", "sound_codec": "libopus"} if suffix == "webm" else {}
    clip = bar_clip(tmp_path / f"clip.{suffix}", frames=48, sound_s=2, clicks_s=clicks_s, **codecs)  # type: ignore[arg-type]
    sound, decoded = laid(clip, Fraction(0), 90_000), sound_of(clip)

    with av.open(str(clip)) as container:
        begins_s = next(iter(container.decode(audio=0))).time or 0
    middle = slice(10_000, 80_000)
    early = round(begins_s * 48_000)
    np.testing.assert_allclose(sound[middle], decoded[middle.start - early : middle.stop - early], atol=1e-6)


def test_a_damaged_clip_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=24, sound_s=1)
    clip.write_bytes(clip.read_bytes()[:3000])

    with pytest.raises(MediaError):
        write_sound(clip, Fraction(0), 48_000, tmp_path / "sound.f32")

    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


FILES = {
    "a.wav": ("-c:a", "pcm_s16le"),
    "24 bit.wav": ("-c:a", "pcm_s24le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "a.flac": (),
    "a.aiff": (),
    "a.mp3": ("-b:a", "192k"),
    "a.m4a": ("-b:a", "192k"),
    "adts.aac": ("-b:a", "192k"),
    "a.ogg": ("-c:a", "libvorbis"),
    "a.opus": ("-b:a", "192k"),
    "it's a «song» 100%.mp3": ("-b:a", "192k"),
    "line\nbreak: concat:a|b.mp3": ("-b:a", "192k"),
}
# Nothing in a bare stream of AAC says how much of its beginning is the encoder's.
HI_FI = [name for name in FILES if name != "a.opus"]  # which has no such rate
EARLY_S = {"adts.aac": 1024 / 48_000}


@pytest.mark.parametrize(("name", "rate"), [*((name, 48_000) for name in FILES), *((name, 44_100) for name in HI_FI)])
def test_sound_files_of_all_kinds(tmp_path: Path, name: str, rate: int) -> None:
    source = pcm_file(tmp_path / name, clicks(1.5, (0.25, 1.2), rate), *FILES[name], rate=rate)
    sound = whole(source)

    late_s = EARLY_S.get(name, 0) * 48_000 / rate
    assert abs(len(sound) / SECOND - 1.5) < 0.05
    for click_s in (0.25, 1.2):
        assert abs(peak_s(sound, click_s + late_s) - click_s - late_s) < MILLISECOND
        assert np.abs(sound[round((click_s + late_s - 0.01) * SECOND) :][:960]).max() > 0.4


@pytest.mark.parametrize("rest", [b"LYRICSBEGIN" + b"la " * 99, bytes(5000), b"again"])
def test_a_piece_that_is_no_sound_is_left_out_as_players_do(tmp_path: Path, rest: bytes) -> None:
    song = pcm_file(tmp_path / "song.mp3", clicks(1, (0.5,)), "-b:a", "192k")
    content = song.read_bytes()
    song.write_bytes(content + (content if rest == b"again" else rest))

    sound = whole(song)

    assert abs(peak_s(sound, 0.5) - 0.5) < MILLISECOND
    assert abs(len(sound) - (2 if rest == b"again" else 1) * SECOND) < 3000


def test_a_sound_that_is_damaged_throughout_is_told(tmp_path: Path) -> None:
    song = pcm_file(tmp_path / "song.flac", np.random.default_rng(0).uniform(-0.5, 0.5, (5 * SECOND, 2)))
    content = bytearray(song.read_bytes())
    for at in range(3000, len(content) - 3000, len(content) // 40):
        content[at : at + 1500] = bytes(1500)
    song.write_bytes(content)

    with pytest.raises(MediaError, match="of this sound cannot be decoded") as raised:
        write_file_sound(song, tmp_path / "out.f32")

    assert raised.value.file == str(song)
    assert [path.name for path in tmp_path.iterdir()] == ["song.flac"]


def test_a_cover_picture_is_no_obstacle(tmp_path: Path) -> None:
    Image.effect_noise((300, 300), 50).save(tmp_path / "cover.png")
    song = pcm_file(tmp_path / "song.mp3", clicks(1, (0.5,)), "-b:a", "192k")
    command = [
        binary(),
        "-v",
        "error",
        "-i",
        str(song),
        "-i",
        str(tmp_path / "cover.png"),
        "-map",
        "0:a",
        "-map",
        "1:v",
    ]
    covered = tmp_path / "covered.mp3"
    subprocess.run([*command, "-c", "copy", "-disposition:v", "attached_pic", str(covered)], check=True)
    with av.open(str(covered)) as container:
        assert container.streams.video

    assert abs(peak_s(whole(covered), 0.5) - 0.5) < MILLISECOND


def test_a_video_may_lend_its_sound(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=24, sound_s=1, clicks_s=[0.5])

    assert abs(peak_s(whole(clip), 0.5) - 0.5) < MILLISECOND


@pytest.mark.parametrize("name", ["mono.wav", "mono.flac"])
def test_mono_is_on_both_channels_at_its_own_level(tmp_path: Path, name: str) -> None:
    sound = whole(pcm_file(tmp_path / name, np.full((4800, 1), 0.5)))

    np.testing.assert_allclose(sound[100:-100], 0.5, atol=1e-3)


def test_more_channels_become_two(tmp_path: Path) -> None:
    # Left, right, centre, low frequencies, left and right surround: one at a time.
    six = np.zeros((6000, 6), dtype="<f4")
    for channel in range(6):
        six[channel * 1000 : (channel + 1) * 1000, channel] = 0.5
    source = pcm_file(tmp_path / "six.wav", six, "-c:a", "pcm_f32le", before=("-channel_layout", "5.1"))

    heard = whole(source).reshape(6, 1000, 2)[:, 500] / 0.5

    low = np.sqrt(0.5)
    expected = [(1, 0), (0, 1), (low, low), (0, 0), (low, 0), (0, low)]
    np.testing.assert_allclose(heard, expected, atol=1e-3)


def test_a_sound_that_changes_its_shape_on_the_way(tmp_path: Path) -> None:
    # A chained Ogg, as radio stations send: every link has its own rate and channels.
    first = pcm_file(tmp_path / "1.ogg", clicks(1, (0.5,), 44_100, 1), "-c:a", "flac", rate=44_100)
    second = pcm_file(tmp_path / "2.ogg", clicks(1, (0.5,)), "-c:a", "flac")
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(first.read_bytes() + second.read_bytes())

    sound = whole(chained)

    assert abs(len(sound) - 2 * SECOND) < 200
    for click_s in (0.5, 1.5):
        assert abs(peak_s(sound, click_s) - click_s) < 3 * MILLISECOND
        assert sound[round((click_s - 0.01) * SECOND) :][:960].max() > 0.7


def test_what_is_no_number_is_silence(tmp_path: Path) -> None:
    bad = np.full((4800, 2), 0.25, dtype="<f4")
    bad[1000], bad[2000], bad[3000] = np.nan, np.inf, -np.inf
    sound = whole(pcm_file(tmp_path / "bad.wav", bad, "-c:a", "pcm_f32le"))

    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == 0.25
    assert not sound[[1000, 2000, 3000]].any()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp3", b""),
        ("text.mp3", b"These are words. " * 400),
        ("text.wav", b"These are words. " * 400),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\na.wav\n#EXT-X-ENDLIST\n"),
        ("list.wav", b"ffconcat version 1.0\nfile a.wav\n"),
        ("page.mp3", b"<html><body>403 Forbidden</body></html>" * 50),
    ],
)
def test_what_is_no_sound_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    pcm_file(tmp_path / "a.wav", clicks(1, (0.5,)))
    (tmp_path / name).write_bytes(content)

    with pytest.raises(MediaError, match="sound") as raised:
        write_file_sound(tmp_path / name, tmp_path / "out.f32")

    assert raised.value.file == str(tmp_path / name)
    assert raised.value.advice
    assert not (tmp_path / "out.f32").exists()


def test_a_silent_video_and_a_picture_have_no_sound(tmp_path: Path) -> None:
    bar_clip(tmp_path / "silent.mp4", frames=5)
    Image.new("RGB", (64, 64)).save(tmp_path / "still.png")

    with pytest.raises(MediaError, match="no sound in it"):
        write_file_sound(tmp_path / "silent.mp4", tmp_path / "out.f32")
    with pytest.raises(MediaError, match="none of the known formats"):
        write_file_sound(tmp_path / "still.png", tmp_path / "out.f32")
    with pytest.raises(MediaError, match="no such file"):
        write_file_sound(tmp_path / "gone.wav", tmp_path / "out.f32")


def test_a_wav_without_samples_is_told(tmp_path: Path) -> None:
    source = pcm_file(tmp_path / "a.wav", np.zeros((0, 2)))

    with pytest.raises(MediaError, match="not one sample"):
        write_file_sound(source, tmp_path / "out.f32")

    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_long_sounds_are_not_held_in_memory(tmp_path: Path) -> None:
    song = pcm_file(tmp_path / "song.wav", clicks(60, (1.0, 59.0)))
    tracemalloc.start()

    sound_bytes = write_file_sound(song, tmp_path / "out.f32") * BYTES_PER_SAMPLE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < sound_bytes / 20


@pytest.mark.parametrize("most", [1, 1000, SECOND, 2 * SECOND - 1, 2 * SECOND, 3 * SECOND])
def test_no_more_is_written_than_is_of_use(tmp_path: Path, most: int) -> None:
    song = pcm_file(tmp_path / "song.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (2 * SECOND, 2)))
    everything = whole(song)

    samples = write_file_sound(song, tmp_path / "out.f32", most)

    assert samples == min(most, 2 * SECOND)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.f32", "<f4").reshape(-1, 2), everything[:samples])


def test_what_lies_behind_is_not_even_decoded(tmp_path: Path) -> None:
    song = pcm_file(tmp_path / "song.flac", np.random.default_rng(0).uniform(-0.5, 0.5, (10 * SECOND, 2)))
    content = bytearray(song.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    song.write_bytes(content)

    assert write_file_sound(song, tmp_path / "out.f32", 4 * SECOND) == 4 * SECOND


def test_a_sound_that_is_damaged_as_far_as_it_is_of_use_is_told(tmp_path: Path) -> None:
    song = pcm_file(tmp_path / "song.flac", np.random.default_rng(0).uniform(-0.5, 0.5, (10 * SECOND, 2)))
    content = bytearray(song.read_bytes())
    for at in range(3000, len(content) // 2, len(content) // 40):
        content[at : at + 1500] = bytes(1500)
    song.write_bytes(content)

    with pytest.raises(MediaError, match="of this sound cannot be decoded"):
        write_file_sound(song, tmp_path / "out.f32", 3 * SECOND)

    assert [path.name for path in tmp_path.iterdir()] == ["song.flac"]


def test_what_nobody_waits_for_is_not_decoded(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=24, sound_s=1)
    stop = Stop()
    stop.set()

    with pytest.raises(CancelledError):
        write_file_sound(clip, tmp_path / "out.f32", stop=stop)
    with pytest.raises(CancelledError):
        write_sound(clip, Fraction(0), SECOND, tmp_path / "out.f32", stop)

    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_disk_without_room_is_told_as_that(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=24, sound_s=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StorageUnreachable, match="no room") as raised:
            write_file_sound(clip, tmp_path / "out.f32")
        with pytest.raises(StorageUnreachable, match="no room"):
            write_sound(clip, Fraction(0), SECOND, tmp_path / "out.f32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert raised.value.file == str(tmp_path / "out.f32")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
