"""What lies beside a timeline, and under which names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tasks.storyboard.model import MediaFile, Music, Shot
from tests.publish.editing.films import MUSIC, Film, board, made

VOICE = "https://example.org/read?id=3&token=s3cr3ts3cr3t"
PROMPT = "A tram climbs"


def speaking(uri: str, local: Path | None, content: bytes = b"RIFF....WAVE") -> Film:
    """A film of one shot over which somebody speaks."""
    film = made(board(Shot(id="lake", prompt=PROMPT, narration=MediaFile(uri))), sounds={uri: 48_000})
    film.local = {} if local is None else {uri: local}
    if local is not None:
        local.write_bytes(content)
    return film


def test_clips_are_named_by_shot_and_take_in_the_order_of_the_film() -> None:
    film = made(board(Shot(id="lake", prompt=PROMPT, takes=2), Shot(id="harbor", prompt=PROMPT)))

    media = film.media()

    assert [copy.name for copy in media.copies] == [
        "clips/lake-take1.mp4",
        "clips/lake-take2.mp4",
        "clips/harbor-take1.mp4",
    ]
    assert media.takes["lake", 2] == "clips/lake-take2.mp4"
    clip = film.takes[1].clip
    assert (media.copies[1].source, media.copies[1].sha256) == (clip.path, clip.sha256)


def test_they_go_where_they_are_to_go() -> None:
    media = made(board(Shot(id="lake", prompt=PROMPT))).media("harbor & Söhne.clips")

    assert [copy.name for copy in media.copies] == ["harbor & Söhne.clips/lake-take1.mp4"]


def test_names_differ_where_case_is_not_told_apart() -> None:
    film = made(board(*(Shot(id=shot, prompt=PROMPT) for shot in ("Lake", "lake", "LAKE"))))

    names = [copy.name for copy in film.media().copies]

    assert names == ["clips/Lake-take1.mp4", "clips/lake-take1-2.mp4", "clips/LAKE-take1-3.mp4"]
    assert len({name.casefold() for name in names}) == 3


def test_a_slate_stands_for_a_shot_that_is_missing_beside_the_takes_that_are_not() -> None:
    film = made(board(Shot(id="lake", prompt=PROMPT, takes=2, select=2)), missing=["lake"])

    media = film.media()

    assert [copy.name for copy in media.copies] == ["clips/lake-take1.mp4", "clips/lake-slate.mp4"]
    assert media.copies[1].source == film.scenes[0].cut.clip
    assert media.slates == {"lake": "clips/lake-slate.mp4"}


def test_a_sound_that_several_shots_use_is_there_once() -> None:
    voice = MediaFile("file:///voice.MP3")
    film = made(
        board(
            Shot(id="one", prompt=PROMPT, narration=voice),
            Shot(id="two", prompt=PROMPT, narration=voice),
            music=Music(MediaFile(MUSIC), Decimal(0), Decimal(0)),
        ),
        sounds={voice.uri: 48_000, MUSIC: 48_000},
    )

    media = film.media()

    assert media.sounds == {voice.uri: "clips/one-narration.mp3", MUSIC: "clips/music.flac"}
    assert [copy.name for copy in media.copies][1:] == [
        "clips/one-narration.mp3",
        "clips/two-take1.mp4",
        "clips/music.flac",
    ]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"RIFF\x00\x00\x00\x00WAVE", ".wav"),
        (b"ID3\x04", ".mp3"),
        (b"\xff\xfb\x90", ".mp3"),
        (b"fLaC\x00", ".flac"),
        (b"OggS\x00", ".ogg"),
        (b"FORM\x00\x00\x00\x00AIFF", ".aiff"),
        (b"\x00\x00\x00\x20ftypM4A ", ".m4a"),
        (b"\x1a\x45\xdf\xa3", ".webm"),
        (b"caff", ""),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("uri", [VOICE, "data:audio/wav;base64,UklGRg==", "https://example.org/voice.php"])
def test_a_sound_is_named_by_what_it_is(tmp_path: Path, uri: str, content: bytes, suffix: str) -> None:
    film = speaking(uri, tmp_path / "5c032be140bc", content)

    assert film.media().sounds[uri] == f"clips/lake-narration{suffix}"


def test_a_sound_that_is_not_here_is_named_and_not_copied() -> None:
    media = speaking(VOICE, None).media()

    assert media.sounds == {VOICE: "clips/lake-narration"}
    assert [copy.name for copy in media.copies] == ["clips/lake-take1.mp4"]
