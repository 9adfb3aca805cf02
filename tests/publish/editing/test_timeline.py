"""What a timeline tells beside its frames: takes, slates, fades, captions, and what each thing is."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import opentimelineio as otio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.plan.lengths import exact_rate
from tasks.publish.editing.edit import legible, one_line
from tasks.publish.editing.timeline import timeline_of
from tasks.redaction import redact
from tasks.storyboard.model import Boundary, MediaFile, Music, Shot, Transition, TransitionKind
from tests.publish.editing.films import FILM_RATES, MUSIC, ODD_RATES, Film, board, dissolve, fade, films, made

PROMPT = "A tram climbs"


def lane(film: Film, name: str) -> list[Any]:
    """What stands on a track, in order: clips, gaps, transitions."""
    timeline = timeline_of(film.edit())
    # Copies, as what is in a timeline does not outlive it.
    return next([item.deepcopy() for item in track] for track in timeline.tracks if track.name == name)


def kinds(items: list[Any]) -> list[str]:
    return [item.name if isinstance(item, otio.schema.Transition) else type(item).__name__ for item in items]


def offsets(transition: Any) -> tuple[int, int]:
    return int(transition.in_offset.value), int(transition.out_offset.value)


@settings(deadline=None, max_examples=50)
@given(films(fps=[*FILM_RATES, *ODD_RATES], mixed=True, sounds=True))
def test_it_is_as_long_as_the_film(film: Film) -> None:
    timeline = timeline_of(film.edit())

    frames, rate = film.scenes[-1].end, film.plan.rate
    assert timeline.duration() == otio.opentime.RationalTime(frames, float(rate))
    # A float that is nearest to the exact rate gives it back.
    assert Fraction(timeline.duration().rate).limit_denominator(1001) == rate
    assert all(track.duration().value <= frames for track in timeline.tracks)


@settings(deadline=None, max_examples=50)
@given(films(sounds=True))
def test_nothing_reaches_beyond_its_media(film: Film) -> None:
    timeline = timeline_of(film.edit())
    for clip in timeline.find_clips():
        before, behind = (
            item if isinstance(item, otio.schema.Transition) else None for item in clip.parent().neighbors_of(clip)
        )
        begin, end = clip.source_range.start_time.value, clip.source_range.end_time_exclusive().value
        begin -= before.in_offset.value if before else 0
        end += behind.out_offset.value if behind else 0
        assert 0 <= begin < end <= clip.available_range().duration.value + 1e-6


def test_a_seam_frame_is_left_out_of_the_later_clip() -> None:
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT, boundary=Boundary.CONTINUE)))

    a, b = lane(film, "Pictures")

    assert (a.source_range.start_time.value, a.source_range.duration.value) == (0, 121)
    assert (b.source_range.start_time.value, b.source_range.duration.value) == (1, 120)


@pytest.mark.parametrize(("seconds", "before", "behind"), [("0.5", 6, 6), ("0.55", 7, 6), ("0.04", 1, 0)])
def test_a_dissolve_reaches_over_what_the_shots_share(seconds: str, before: int, behind: int) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT, transition=dissolve(seconds))))

    a, transition, b = lane(film, "Pictures")

    assert offsets(transition) == (before, behind)
    assert transition.transition_type == otio.schema.TransitionTypes.SMPTE_Dissolve
    assert a.source_range.end_time_exclusive().value == 121 - behind
    assert b.source_range.start_time.value == before


def test_a_transition_that_editors_do_not_know_is_a_dissolve_that_tells_its_name() -> None:
    slide = Transition(TransitionKind.SLIDE_UP, Decimal("0.5"))
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT, transition=slide)))

    _, transition, b = lane(film, "Pictures")

    assert (transition.name, offsets(transition)) == ("Cross Dissolve", (6, 6))
    assert transition.transition_type == otio.schema.TransitionTypes.SMPTE_Dissolve
    assert transition.metadata["shotchain"]["transition"] == "slideup" == b.metadata["shotchain"]["transition"]
    assert film.edit().losses == ("the slideup into 'b' is a dissolve; its name stands in timeline.otio",)


def test_fades_go_through_a_gap_without_frames() -> None:
    film = made(
        board(
            Shot(id="a", prompt=PROMPT, transition=fade("0.5")),
            Shot(id="b", prompt=PROMPT, transition=fade("0.5")),
        )
    )

    items = lane(film, "Pictures")

    assert kinds(items) == ["Fade In", "Clip", "Fade Out", "Gap", "Fade In", "Clip"]
    assert [offsets(items[index]) for index in (0, 2, 4)] == [(0, 12), (6, 0), (0, 6)]
    assert items[3].duration().value == 0
    assert items[5].source_range.start_time.value == 0
    # The library itself agrees that this can be shown.
    timeline = timeline_of(film.edit())
    otio.algorithms.track_with_expanded_transitions(timeline.tracks[0])


def test_takes_are_media_references_with_the_selected_one_active() -> None:
    film = made(board(Shot(id="lake", prompt=PROMPT, takes=3, select=2)))

    (clip,) = lane(film, "Pictures")

    assert clip.active_media_reference_key == "take-2"
    assert {key: found.target_url for key, found in clip.media_references().items()} == {
        "take-1": "clips/lake-take1.mp4",
        "take-2": "clips/lake-take2.mp4",
        "take-3": "clips/lake-take3.mp4",
    }
    # Editors look for moved media by name.
    assert clip.name == clip.media_reference.name == "lake-take2.mp4"
    told = clip.media_reference.metadata["shotchain"]
    taken = film.takes[1]
    assert dict(told) == {
        "take": 2,
        "content_key": taken.clip.key,
        "sha256": taken.clip.sha256,
        "taskUUID": taken.clip.origin.task_uuid,
        "videoUUID": taken.clip.origin.video_uuid,
        "cost_usd": "0.42",
        "seed": "9223372036854775808",
        "nsfw": False,
    }


def test_a_slate_is_active_where_the_selected_take_is_missing() -> None:
    film = made(board(Shot(id="lake", prompt=PROMPT, takes=2)), missing=["lake"])

    (clip,) = lane(film, "Pictures")

    assert clip.active_media_reference_key == "slate"
    assert clip.media_reference.target_url == "clips/lake-slate.mp4"
    assert sorted(clip.media_references()) == ["slate", "take-2"]
    assert clip.metadata["shotchain"]["slate"] is True


def test_clips_tell_what_they_are_of() -> None:
    film = made(
        board(
            Shot(id="a", prompt=PROMPT, caption="Fünf\nUhr"),
            Shot(id="b", prompt=PROMPT, duration_s=Decimal(3), boundary=Boundary.CONTINUE),
        )
    )

    a, b = (dict(clip.metadata["shotchain"]) for clip in lane(film, "Pictures"))

    assert (a["shot"], a["prompt"], a["caption"], a["boundary"]) == ("a", PROMPT, "Fünf\nUhr", "cut")
    assert (b["shot"], b["boundary"], b["seam"]) == ("b", "continue", True)
    assert (b["first_clip_frame"], b["last_clip_frame"], b["begin_frame"], b["frames"]) == (1, 72, 121, 72)


def test_captions_are_markers_until_the_next_shot_begins() -> None:
    film = made(
        board(
            Shot(id="a", prompt=PROMPT, caption="One\nmore"),
            Shot(id="b", prompt=PROMPT, transition=dissolve("1"), caption="Two"),
        )
    )

    timeline = timeline_of(film.edit())

    markers = list(timeline.tracks.markers)
    assert [(found.name, found.comment) for found in markers] == [("One more", "One\nmore"), ("Two", "Two")]
    assert [(found.marked_range.start_time.value, found.marked_range.duration.value) for found in markers] == [
        (0, 97),
        (97, 121),
    ]


def test_sound_crosses_to_a_neighbours_and_else_goes_with_its_picture() -> None:
    shots = [Shot(id=shot, prompt=PROMPT, transition=dissolve("1") if shot != "a" else None) for shot in "abcd"]

    crossing = lane(made(board(*shots), sounding=["a", "b"]), "Clip sound")
    alone = lane(made(board(*shots), sounding=["b", "d"]), "Clip sound")

    assert kinds(crossing) == ["Clip", "Cross Fade", "Clip", "Fade Out"]
    assert kinds(alone) == ["Gap", "Fade In", "Clip", "Fade Out", "Gap", "Fade In", "Clip"]
    assert [item.duration().value for item in alone if not isinstance(item, otio.schema.Transition)] == [
        97,
        121,
        291 - 97 - 121,
        121,
    ]


def test_voices_that_are_heard_at_once_have_tracks_of_their_own() -> None:
    voices = {f"file:///{shot}.wav": samples for shot, samples in zip("abc", (48_000 * 7, 48_000, 1), strict=True)}
    shots = [Shot(id=shot, prompt=PROMPT, narration=MediaFile(f"file:///{shot}.wav")) for shot in "abc"]
    film = made(board(*shots), sounds=voices)

    first, second = lane(film, "Narration"), lane(film, "Narration 2")

    assert [item.name for item in first if isinstance(item, otio.schema.Clip)] == [
        "a-narration.wav",
        "c-narration.wav",
    ]
    assert [item.name for item in second if isinstance(item, otio.schema.Clip)] == ["b-narration.wav"]
    # A frame that is begun is heard.
    assert first[-1].duration().value == 1


def test_music_begins_again_until_the_film_is_over() -> None:
    music = Music(MediaFile(MUSIC), Decimal("-12.5"), Decimal(1))
    film = made(board(Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT), music=music), sounds={MUSIC: 192_480})

    items = lane(film, "Music")

    assert kinds(items) == ["Clip", "Clip", "Clip", "Fade Out"]
    # Each round is 10 ms shorter than 4.01 s.
    assert [item.duration().value for item in items[:3]] == [96, 96, 242 - 192]
    assert offsets(items[3]) == (24, 0)
    assert {item.metadata["shotchain"]["gain_db"] for item in items[:3]} == {"-12.5"}


def test_what_music_a_timeline_cannot_have_is_told() -> None:
    music = Music(MediaFile(MUSIC), Decimal(0), Decimal(3))
    shots = Shot(id="a", prompt=PROMPT), Shot(id="b", prompt=PROMPT)

    whole = made(board(*shots, music=music), sounds={MUSIC: 48_000 * 60}).edit()
    begun_anew = made(board(*shots, music=music), sounds={MUSIC: 48_000 * 9}).edit()
    short = made(board(*shots, music=music), sounds={MUSIC: 9_600}).edit()

    assert whole.losses == ()
    assert begun_anew.losses == (
        "the music fades out over the last 26 frames, not 72: it begins anew within them, and a fade is of one piece",
    )
    assert short.losses == (
        "the music is shorter than a second: the film plays it again and again, a timeline has it once",
    )
    assert [(piece.begin, piece.frames) for piece in short.sounds[0].pieces] == [(0, 5)]
    ducked = replace(music, duck_db=Decimal(12))
    assert made(board(*shots, music=ducked), sounds={MUSIC: 48_000 * 60}).edit().losses == (
        "in the film, music goes down by 12 dB under other sounds; in a timeline it does not",
    )


def test_secrets_in_addresses_are_hidden() -> None:
    uri = "https://user:pa55word@example.org/voice.wav?X-Amz-Signature=0123456789abcdef"
    film = made(board(Shot(id="a", prompt=PROMPT, narration=MediaFile(uri))), sounds={uri: 48_000})

    text = timeline_of(film.edit()).to_json_string()

    assert "pa55word" not in text
    assert "0123456789abcdef" not in text
    assert "https://user:***@example.org/voice.wav?X-Amz-Signature=***" in text


def test_urls_are_relative_and_quoted() -> None:
    film = made(board(Shot(id="a", prompt=PROMPT)))

    (clip,) = timeline_of(film.edit('Tom & Jerry\'s "Häfen" #1')).find_clips()

    assert clip.media_reference.target_url == "Tom%20%26%20Jerry%27s%20%22H%C3%A4fen%22%20%231/a-take1.mp4"


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1), st.text(min_size=2))
def test_any_text_is_told(title: str, words: str) -> None:
    film = made(board(Shot(id="a", prompt=f"{PROMPT} {words}"), title=title))

    told = json.loads(timeline_of(film.edit()).to_json_string())

    assert told["name"] == one_line(title)
    assert "\n" not in told["name"]
    (clip,) = told["tracks"]["children"][0]["children"]
    assert clip["metadata"]["shotchain"]["prompt"] == redact(legible(film.plan.shots[0].prompt))


def test_the_same_film_is_told_alike() -> None:
    shots = [Shot(id="a", prompt=PROMPT, takes=2), Shot(id="b", prompt=PROMPT, transition=dissolve("1"))]

    first, second = (timeline_of(made(board(*shots)).edit()).to_json_string() for _ in range(2))

    assert first == second


@pytest.mark.parametrize("fps", [*FILM_RATES, *ODD_RATES])
def test_rates_are_exact(fps: str) -> None:
    film = made(board(Shot(id="a", prompt=PROMPT), fps=fps))

    timeline = timeline_of(film.edit())

    assert timeline.duration().rate == float(exact_rate(Decimal(fps)))
    assert timeline.metadata["shotchain"]["fps"] == str(exact_rate(Decimal(fps)))
