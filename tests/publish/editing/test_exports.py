"""Timelines as files: each whole or absent, each told of where it lacks something, all of them movable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

import opentimelineio as otio
import pytest

from tasks.errors import MediaError
from tasks.publish.editing.edl import edl
from tasks.publish.editing.exports import TimelineFormat, write_timelines
from tasks.storyboard.model import Fit, MediaFile, Music, Shot
from tests.publish.editing.films import FILM_RATES, MUSIC, ODD_RATES, Film, board, dissolve, fade, made, write_media
from tests.publish.editing.reading import shown_by_film, shown_by_track

PROMPT = "A tram climbs"
AWKWARD = 'Tom & "Jerry\'s" <Häfen> 港 \N{PILE OF POO} 100 % #1?'
VOICE = "file:///voice.wav"


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """A film with one of everything, whose media exist."""
    film = made(
        board(
            Shot(id="harbor", prompt=AWKWARD, takes=2, caption=AWKWARD, transition=fade("0.5"), gain_db=Decimal(3)),
            Shot(id="lake", prompt=PROMPT, transition=dissolve("1"), narration=MediaFile(VOICE)),
            Shot(id="gone", prompt=PROMPT, transition=fade("1")),
            title=AWKWARD,
            music=Music(MediaFile(MUSIC), Decimal(-12), Decimal(2)),
        ),
        tmp_path / "store",
        sounding=["harbor"],
        missing=["gone"],
        sounds={VOICE: 96_000, MUSIC: 48_000 * 60},
    )
    write_media(film)
    return film


def text_of(film: Film, kind: TimelineFormat, folder: Path) -> str:
    exports = write_timelines(film.edit(), folder)
    return next(file.path.read_text(encoding="utf-8") for file in exports.files if file.format is kind)


def media_of(path: Path) -> Iterator[str]:
    """The media that a timeline names, as it names them."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".otio":
            timeline = otio.adapters.read_from_string(text, "otio_json")
            for clip in timeline.find_clips():
                yield from (found.target_url for found in clip.media_references().values())
        case ".xml":
            yield from (str(found.text) for found in ET.fromstring(text).iter("pathurl"))  # noqa: S314 -- ours
        case ".fcpxml":
            yield from (found.attrib["src"] for found in ET.fromstring(text).iter("asset"))  # noqa: S314 -- ours
        case ".edl":
            lines = [line.partition(" CLIP: ") for line in text.splitlines()]
            yield from (found for _, mark, found in lines if mark)


def test_there_is_a_timeline_in_every_format(film: Film, tmp_path: Path) -> None:
    exports = write_timelines(film.edit(), tmp_path / "out")

    assert [file.path.name for file in exports.files] == [
        "timeline.otio",
        "timeline.xml",
        "timeline.fcpxml",
        "timeline.edl",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        file.path.name for file in exports.files
    )


@pytest.mark.parametrize("folder", ["clips", 'harbor & Söhne\'s "100 %" #1.clips'])
def test_a_folder_that_moved_still_has_its_media(film: Film, tmp_path: Path, folder: str) -> None:
    published = tmp_path / "published"
    write_timelines(film.edit(folder), published)
    for copy in film.media(folder).copies:
        (published / copy.name).parent.mkdir(exist_ok=True)
        shutil.copyfile(copy.source, published / copy.name)
    moved = tmp_path / "else where" / "ü & co"
    moved.parent.mkdir()
    published.rename(moved)
    shutil.rmtree(tmp_path / "store")

    for kind in TimelineFormat:
        named = list(media_of(moved / f"timeline.{kind}"))
        assert named
        missing = [name for name in named if not (moved / unquote(name)).is_file()]
        assert missing == []


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
def test_names_come_back_as_they_were(film: Film, tmp_path: Path) -> None:
    write_timelines(film.edit(), tmp_path)

    assert otio.adapters.read_from_file(str(tmp_path / "timeline.otio")).name == AWKWARD
    final_cut_7 = otio.adapters.read_from_file(str(tmp_path / "timeline.xml"), "fcp_xml")
    assert final_cut_7.name == AWKWARD
    assert [marker.name for marker in final_cut_7.tracks.markers] == [AWKWARD]
    (final_cut,) = otio.adapters.read_from_file(str(tmp_path / "timeline.fcpxml"), "fcpx_xml")
    assert final_cut.name == AWKWARD
    assert (tmp_path / "timeline.edl").read_text(encoding="utf-8").startswith(f"TITLE: {AWKWARD}\n")


def test_every_loss_is_told(film: Film, tmp_path: Path) -> None:
    assert write_timelines(film.edit(), tmp_path).warnings == (
        "timeline.otio: how loud each sound is stands in its metadata, which editors do not read",
        "timeline.edl: it has pictures alone, without sound",
        "timeline.edl: it has no captions",
    )


def test_a_plain_film_loses_nothing(tmp_path: Path) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT, transition=dissolve("1"))))

    assert write_timelines(film.edit(), tmp_path).warnings == ()


@pytest.mark.parametrize("fps", ODD_RATES)
def test_a_format_that_does_not_know_the_rate_keeps_no_other(fps: str, tmp_path: Path) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT, caption="One"), fps=fps))

    exports = write_timelines(film.edit(), tmp_path)

    assert [file.path.name for file in exports.files] == ["timeline.otio", "timeline.fcpxml"]
    assert exports.warnings == (
        f"no timeline.xml: it has no timecode at {fps} frames a second",
        f"no timeline.edl: there is no timecode at {fps} frames a second",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["timeline.fcpxml", "timeline.otio"]


@pytest.mark.parametrize("fps", FILM_RATES)
def test_every_format_knows_the_rates_of_television_and_cinema(fps: str, tmp_path: Path) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT), fps=fps))

    assert len(write_timelines(film.edit(), tmp_path).files) == 4


def test_what_an_adapter_stumbles_over_is_told_and_keeps_no_other(film: Film, tmp_path: Path) -> None:
    edit = film.edit()
    # Half a character, which nobody can write: an edit that was not laid out by `edit_of` may have one.
    broken = replace(edit, title="half \ud83d")

    exports = write_timelines(broken, tmp_path)

    assert exports.files == ()
    assert [warning.partition(":")[0] for warning in exports.warnings] == [
        f"no timeline.{kind}" for kind in TimelineFormat
    ]
    assert list(tmp_path.iterdir()) == [tmp_path / "store"]


def test_a_folder_that_cannot_be_written_is_told(film: Film, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    exports = write_timelines(film.edit(), tmp_path / "out")

    assert exports.files == ()
    assert exports.warnings[0].startswith("no timeline.otio: it cannot be written (")


def test_the_list_of_events_is_as_editors_know_it(tmp_path: Path) -> None:
    film = made(
        board(
            Shot(id="a", prompt=PROMPT, takes=2, select=2),
            Shot(id="b", prompt=PROMPT, transition=dissolve("0.5")),
            title="Film",
        )
    )

    assert text_of(film, TimelineFormat.EDL, tmp_path).splitlines() == [
        "TITLE: Film",
        "FCM: NON-DROP FRAME",
        "",
        "001  S001T2   V     C        00:00:00:00 00:00:04:13 00:00:00:00 00:00:04:13",
        "* FROM CLIP NAME:  a-take2.mp4",
        "* FROM CLIP: clips/a-take2.mp4",
        "002  S001T2   V     C        00:00:04:13 00:00:04:13 00:00:04:13 00:00:04:13",
        "002  S002T1   V     D 012    00:00:00:00 00:00:05:01 00:00:04:13 00:00:09:14",
        "* FROM CLIP NAME:  a-take2.mp4",
        "* FROM CLIP: clips/a-take2.mp4",
        "* TO CLIP NAME:  b-take1.mp4",
        "* TO CLIP: clips/b-take1.mp4",
    ]


def test_a_list_says_where_timecode_drops_frames(tmp_path: Path) -> None:
    film = made(board(*(Shot(id=f"s{number}", prompt=PROMPT) for number in range(13)), fps="29.97"))

    text = text_of(film, TimelineFormat.EDL, tmp_path)

    assert text.splitlines()[1] == "FCM: DROP FRAME"
    # Numbers 0 and 1 are left out of this minute, as television does.
    assert "00:01:00;14" in text


def test_a_list_has_no_more_events_than_it_can_count() -> None:
    edit = made(board(*(Shot(id=f"s{number}", prompt=PROMPT) for number in range(1000)))).edit()
    fewer = replace(edit, pictures=replace(edit.pictures, pieces=edit.pictures.pieces[:999]))

    with pytest.raises(MediaError, match="it has at most 999 events, and the film would be 1000"):
        edl(edit)
    assert edl(fewer)[0].count("CLIP NAME") == 999


def test_levels_and_fades_of_sound_are_in_both_final_cuts(film: Film, tmp_path: Path) -> None:
    write_timelines(film.edit(), tmp_path)

    seven = ET.parse(tmp_path / "timeline.xml").getroot()  # noqa: S314 -- ours
    levels = {
        (clip.findtext("name"), clip.findtext("filter/effect/parameter/value"))
        for clip in seven.iterfind(".//audio/track/clipitem")
    }
    assert levels == {
        ("harbor-take1.mp4", "1.41254"),
        ("lake-narration.wav", "1.00000"),
        ("music.flac", "0.25119"),
    }
    fades = [effect.findtext("effectid") for effect in seven.iterfind(".//audio/track/transitionitem/effect")]
    assert fades == ["KGAudioTransCrossFade3dB"] * 3
    ten = ET.parse(tmp_path / "timeline.fcpxml").getroot()  # noqa: S314 -- ours
    harbor = ten.find(".//spine/asset-clip")
    assert harbor is not None
    volume = harbor.find("adjust-volume")
    assert volume is not None
    assert volume.attrib["amount"] == "3"
    assert {fade.tag: fade.attrib["duration"] for fade in volume.iterfind("param/")} == {"fadeIn": "1/2s"}
    music = [clip for clip in ten.iterfind(".//spine/asset-clip/asset-clip") if clip.attrib["audioRole"] == "music"]
    assert [clip.findtext("adjust-volume/param/fadeOut", None) is None for clip in music][-1] is False
    assert {clip.find("adjust-volume").attrib["amount"] for clip in music} == {"-12"}  # type: ignore[union-attr]


def test_what_is_louder_than_editors_raise_is_told(tmp_path: Path) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT, gain_db=Decimal(20))), sounding=["a"])

    warnings = write_timelines(film.edit(), tmp_path).warnings

    assert "timeline.xml: 'a-take1.mp4' is 20 dB louder in the film, and 12 dB here" in warnings


def test_final_cut_7_knows_which_files_have_sound(film: Film, tmp_path: Path) -> None:
    write_timelines(film.edit(), tmp_path)

    streams = {}
    for file in ET.parse(tmp_path / "timeline.xml").iter("file"):  # noqa: S314 -- ours
        if file.find("name") is not None:
            streams[file.findtext("name")] = [found.tag for found in file.iterfind("media/")]
    assert streams == {
        "harbor-take1.mp4": ["video", "audio"],
        "lake-take1.mp4": ["video"],
        "gone-slate.mp4": ["video"],
        "lake-narration.wav": ["audio"],
        "music.flac": ["audio"],
    }


def test_final_cut_7_counts_the_film_in_its_own_frames(tmp_path: Path) -> None:
    clips = {"a": {"rate": Fraction(25), "frames": 125}}
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT)), clips=clips)
    write_timelines(film.edit(), tmp_path)

    root = ET.parse(tmp_path / "timeline.xml").getroot()  # noqa: S314 -- ours

    assert root.findtext("project/children/sequence/duration") == "241"
    a, b = root.iterfind(".//video/track/clipitem")
    assert [a.findtext(name) for name in ("rate/timebase", "start", "end", "in", "out")] == [
        "25",
        "0",
        "120",
        "0",
        "125",
    ]
    assert [b.findtext(name) for name in ("rate/timebase", "start", "end", "in", "out")] == [
        "24",
        "120",
        "241",
        "0",
        "121",
    ]


def test_final_cut_7_counts_a_clip_of_no_known_rate_in_the_films_frames(tmp_path: Path) -> None:
    clips = {"b": {"rate": Fraction(2997, 100), "frames": 150}}
    shots = Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT, transition=dissolve("0.5"))
    film = made(board(*shots), clips=clips, sounding=["b"])

    warnings = write_timelines(film.edit(), tmp_path).warnings

    assert [warning for warning in warnings if warning.startswith("timeline.xml")] == [
        "timeline.xml: times in 'b-take1.mp4' are of the film's frames: it has no timecode at its 29.97 a second"
    ]
    again = otio.adapters.read_from_file(str(tmp_path / "timeline.xml"), "fcp_xml")
    assert shown_by_track(again.tracks[0], film.plan.rate) == shown_by_film(film)


def test_takes_that_are_not_shown_keep_no_format_away(tmp_path: Path) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT, takes=2)))
    film.takes[1] = replace(film.takes[1], kept=replace(film.takes[1].clip, rate=Fraction(16)))

    assert write_timelines(film.edit(), tmp_path).warnings == ()


def test_what_no_file_can_hold_is_left_out_of_texts(tmp_path: Path) -> None:
    words = "A\x00 tram\x0b \ud83d climbs\ufffe"
    prompt = words.replace("\ud83d", "")
    film = made(board(Shot(id="a", prompt=prompt, caption=words), title=words))

    exports = write_timelines(film.edit(), tmp_path)

    assert len(exports.files) == 4
    assert otio.adapters.read_from_file(str(tmp_path / "timeline.otio")).name == "A tram climbs"
    note = ET.parse(tmp_path / "timeline.fcpxml").getroot().findtext(".//note")  # noqa: S314 -- ours
    assert note == "A tram  climbs"


# What may stand in a clip, in the order in which Final Cut wants it.
_IN_CLIP = [
    "note",
    "conform-rate",
    "adjust-conform",
    "adjust-blend",
    "adjust-volume",
    "asset-clip",
    "marker",
    "metadata",
]


def test_final_cut_finds_everything_in_its_order(film: Film, tmp_path: Path) -> None:
    clips = {"odd": {"rate": Fraction(25), "frames": 125, "width": 720}}
    odd = made(
        board(Shot(id="odd", prompt=PROMPT, fit=Fit.FILL, caption="One", gain_db=Decimal(3)), title="Odd"),
        clips=clips,
        sounding=["odd"],
    )
    for number, made_film in enumerate((film, odd)):
        write_timelines(made_film.edit(), tmp_path / str(number))
        root = ET.parse(tmp_path / str(number) / "timeline.fcpxml").getroot()  # noqa: S314 -- ours
        resources = {found.attrib["id"] for found in root.iterfind("resources/")}
        assert len(resources) == len(root.findall("resources/"))
        assert {found.attrib["ref"] for found in root.iter() if "ref" in found.attrib} <= resources
        assert {found.attrib["format"] for found in root.iter() if "format" in found.attrib} <= resources
        for clip in root.iterfind(".//spine/asset-clip"):
            places = [_IN_CLIP.index(found.tag) for found in clip]
            assert places == sorted(places)
    conform = root.find(".//conform-rate")
    assert conform is not None
    assert conform.attrib == {"scaleEnabled": "0", "srcFrameRate": "25"}
    assert root.find(".//adjust-conform[@type='fill']") is not None


def test_takes_that_are_not_shown_are_at_hand_in_final_cut(film: Film, tmp_path: Path) -> None:
    write_timelines(film.edit(), tmp_path)

    clips = ET.parse(tmp_path / "timeline.fcpxml").getroot().iterfind("library/event/asset-clip")  # noqa: S314 -- ours

    assert [clip.attrib["name"] for clip in clips] == ["harbor-take2.mp4"]


def test_shapes_that_an_editor_will_not_fill_are_told(tmp_path: Path) -> None:
    clips = {shot: {"width": 720} for shot in ("fit", "fill", "blur")}
    film = made(board(*(Shot(id=fit, prompt=PROMPT, fit=Fit(fit)) for fit in clips)), clips=clips)

    warnings = write_timelines(film.edit(), tmp_path).warnings

    unlike = "has another shape than the film, which it fills there"
    assert [warning for warning in warnings if warning.startswith("timeline.xml")] == [
        f"timeline.xml: 'fill-take1.mp4' {unlike} ('fill')",
        f"timeline.xml: 'blur-take1.mp4' {unlike} ('blur')",
    ]
    assert [warning for warning in warnings if warning.startswith("timeline.fcpxml")] == [
        "timeline.fcpxml: 'blur-take1.mp4' is shown between black bars, not over a blurred ground"
    ]


def test_the_same_film_is_written_alike(film: Film, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_timelines(film.edit(), tmp_path / name)

    for kind in TimelineFormat:
        one, two = (tmp_path / name / f"timeline.{kind}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


_WRITES_AND_ENDS = """
import sys
from pathlib import Path

import opentimelineio as otio

from tasks.errors import MediaError
from tasks.publish.editing.edl import edl
from tasks.publish.editing.exports import write_timelines
from tasks.storyboard.model import MediaFile, Shot
from tests.publish.editing.films import board, dissolve, made

kept = otio.core._value_to_any
before = sys.getrefcount(kept)
shots = [Shot(id="a", prompt="A tram", caption="One"), Shot(id="b", prompt="A tram", transition=dissolve("1"))]
write_timelines(made(board(*shots), sounding=["a", "b"]).edit(), Path(sys.argv[1]))
assert sys.getrefcount(kept) == before
"""


def test_a_process_that_wrote_timelines_ends_well(tmp_path: Path) -> None:
    """The library may keep a function beyond Python's end, and abort when it drops it. It must not begin to."""
    root = Path(__file__).parents[3]
    paths = os.pathsep.join([str(root), *sys.path])

    ended = subprocess.run(
        [sys.executable, "-c", _WRITES_AND_ENDS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) == 4
