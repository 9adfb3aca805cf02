"""Cards: words that can be read, drawn as planned, and scenes of the film like any other."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.clips.store import Clip, Origin
from tasks.errors import BadInput, MediaError, StoryboardError
from tasks.media.ffmpeg import binary
from tasks.media.frames import decode_whole, extract_frame
from tasks.plan.build import build_plan
from tasks.plan.model import Plan, PlannedCard, PlannedShot
from tasks.sequence.assemble import assemble, prepare_seam
from tasks.sequence.blend import Blended
from tasks.sequence.cards import check_card, draw_card, make_card
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.cuts import card_cut, cut_of, layout_of
from tasks.sequence.lossless.fitted import fitted
from tasks.sequence.lossless.joined import join_lossless
from tasks.sequence.scenes import Scene, captions_of, chapters_of, scenes_of
from tasks.sequence.shots import card_of, check_finish, dissolve_of, part_of
from tasks.sequence.sound.soundtrack import Mixdown, Shown
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.sequence.verify import FilmFacts
from tasks.settings import Finish
from tasks.storyboard.model import Card, MediaFile, Shot, Storyboard, Transition, TransitionKind
from tests.media.barclips import bar_clip, codes_of, packets_of
from tests.sequence.conftest import names

FILM = FilmLayout(320, 180, Fraction(24))
MODEL = "klingai:kling@o1-standard"
ORIGIN = Origin("emulator", MODEL, "task", "video", Decimal("0.42"), None, nsfw=False)
# So many clips have bars; each begins with a number of its own.
FIRSTS = {"a": 1_000, "b": 2_000, "c": 3_000}


def planned(*text: str, background: str = "#000000", frames: int = 12, sha256: str | None = None) -> PlannedCard:
    return PlannedCard("title card", text, background, None, sha256, frames, line=7)


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L")).astype(int)


# -- drawn -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (320, 180), (64, 36)])
def test_words_stand_in_the_middle_and_keep_off_the_edges(size: tuple[int, int]) -> None:
    layout = FilmLayout(*size, Fraction(24))

    pixels = grey(draw_card(planned("Sea"), layout))

    rows, columns = np.nonzero(pixels > 120)
    assert pixels.shape == (size[1], size[0])
    assert pixels.max() > 180
    assert len(rows) > 20
    assert columns.min() >= round(0.1 * size[0])
    assert abs((columns.min() + columns.max()) / 2 - size[0] / 2) < 0.05 * size[0]
    assert abs((rows.min() + rows.max()) / 2 - size[1] / 2) < 0.1 * size[1]


@pytest.mark.parametrize(("background", "is_dark"), [("#000000", True), ("#203060", True), ("#f4e8c1", False)])
def test_words_can_be_read_on_any_colour(background: str, is_dark: bool) -> None:
    image = draw_card(planned("The End", background=background), FILM)

    pixels = grey(image)
    ground = pixels[0, 0]
    assert image.getpixel((0, 0)) == tuple(bytes.fromhex(background[1:]))
    assert np.abs(pixels - ground).max() > 120
    assert bool(pixels.max() > ground + 100) is is_dark


def test_the_first_line_is_the_largest() -> None:
    rows = (grey(draw_card(planned("MMM", "MMM"), FilmLayout(1280, 720, Fraction(24)))) > 120).any(axis=1)

    edges = np.flatnonzero(np.diff(rows.astype(int)))
    assert len(edges) == 4
    assert edges[1] - edges[0] > 1.8 * (edges[3] - edges[2]) > 0


def test_a_long_line_is_broken_and_all_of_it_is_there() -> None:
    layout = FilmLayout(1280, 720, Fraction(24))
    pixels = grey(draw_card(planned("A title of so many words that no line of the film has room for all"), layout))

    rows = (pixels > 120).any(axis=1)
    assert np.count_nonzero(np.diff(rows.astype(int)) == 1) >= 2


def test_a_picture_fills_the_film_behind_words_with_an_outline(tmp_path: Path) -> None:
    Image.new("RGB", (300, 600), (250, 250, 250)).save(tmp_path / "wall.png")

    pixels = grey(draw_card(planned("Sea"), FILM, tmp_path / "wall.png"))

    assert pixels[0, 0] == pixels[-1, -1] == 250
    assert pixels.min() < 40


def test_a_picture_that_was_changed_since_the_plan_is_not_shown(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")

    with pytest.raises(MediaError, match="another one than was planned"):
        draw_card(planned("Sea", sha256=hashlib.sha256(b"before").hexdigest()), FILM, tmp_path / "wall.png")
    with pytest.raises(MediaError, match="cannot be decoded"):
        draw_card(planned("Sea"), FILM, tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("海", "the built-in font has no '海', which the title card has"),
        ("word " * 120, "too many or too long"),
        ("x" * 200, "too many or too long"),
    ],
)
def test_words_that_cannot_be_drawn_are_refused_with_their_line(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        check_card(planned(text), FILM, file="film.yaml")
    assert (caught.value.file, caught.value.line) == ("film.yaml", 7)


async def test_it_is_a_clip_that_is_taken_as_it_is_coded(tmp_path: Path) -> None:
    card = planned("Sea", frames=9)

    clip = await make_card(card, FILM, tmp_path / "kept")
    whole = Cut(shot=card.id, clip=clip, clip_id=clip.name, start=0, stop=9, frames=9)
    part = await conform(whole, FILM, tmp_path / "kept")

    assert decode_whole(clip).frames == 9
    assert packets_of(part.picture) == packets_of(clip)
    extract_frame(clip, 8, tmp_path / "still.png")
    with Image.open(tmp_path / "still.png") as still:
        assert np.abs(grey(still) - grey(draw_card(card, FILM))).mean() < 1


async def test_it_is_kept_by_what_is_to_be_seen(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    one = await make_card(planned("Sea"), FILM, folder)

    assert await make_card(planned("Sea"), FILM, folder) == one
    others = [planned("Sun"), planned("Sea", background="#000001"), planned("Sea", frames=13)]
    assert len({one, *[await make_card(card, FILM, folder) for card in others]}) == 4
    assert len(names(folder)) == 4


# -- in the film -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with bars, with a click at 0.5 s, and a folder for what is made of them."""
    folder = tmp_path_factory.mktemp("store")
    for name, first in FIRSTS.items():
        bar_clip(folder / f"{name}.mp4", first=first, sound_s=121 / 24, clicks_s=[0.5])
    return folder


def board(shots: Sequence[Shot], *, title: Card | None = None, end: Card | None = None, fps: str | None = None) -> Plan:
    storyboard = Storyboard(
        title="Film",
        model=MODEL,
        width=1280,
        height=720,
        shots=tuple(shots),
        fps=None if fps is None else Decimal(fps),
        title_card=title,
        end_card=end,
        loudness_lufs=None,
    )
    return replace(build_plan(storyboard, {}, "emulator"), width=320, height=180)


def card(key: str, duration_s: str, transition: Transition | None = None) -> Card:
    assert key in {"title_card", "end_card"}
    return Card(
        "title_card" if key == "title_card" else "end_card", (key,), Decimal(duration_s), "#102030", None, transition
    )


def shot(name: str, duration_s: str = "1", transition: Transition | None = None, caption: str | None = None) -> Shot:
    return Shot(id=name, prompt="The sea", duration_s=Decimal(duration_s), transition=transition, caption=caption)


def into(kind: str, duration_s: str = "0.25") -> Transition:
    return Transition(TransitionKind(kind), Decimal(duration_s))


def clip_of(store: Path, planned_shot: PlannedShot) -> Clip:
    path = store / f"{planned_shot.id}.mp4"
    return Clip(planned_shot.id, path, planned_shot.id * 64, 1, 121, 320, 180, Fraction(24), True, ORIGIN)


async def made(plan: Plan, store: Path, output: Path, finish: Finish) -> tuple[list[Scene], FilmFacts]:
    """A film of the clips in the store, as a run makes it."""
    parts: list[tuple[Cut, Conformed]] = []
    blends: dict[str, Blended] = {}
    for scene in plan.scenes:
        if isinstance(scene, PlannedCard):
            drawn = await card_of(plan, scene, None, finish, store / "parts")
            parts.append((card_cut(plan, scene, drawn.clip), drawn.part))
        else:
            cut = cut_of(plan, scene, clip_of(store, scene))
            parts.append((cut, await part_of(plan, scene, cut, finish, store / "parts")))
        if scene.overlap:
            earlier, later = parts[-2][0], parts[-1][0]
            blends[scene.id] = await dissolve_of(plan, scene, earlier, later, finish, store / "parts")
    scenes = scenes_of(parts)
    mixdown = Mixdown(plan, {}, output.parent / "sound", output.parent / "kept")
    soundtrack = await mixdown.finish([Shown(scene.cut, scene.conformed.sound) for scene in scenes])
    return scenes, await assemble(plan, scenes, blends, soundtrack, finish, store / "parts", output)


def clicks_s(film: Path) -> list[float]:
    """When something is to be heard, in seconds from the film's beginning."""
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        begin_s = float((frames[0].pts or 0) * (frames[0].time_base or 0))
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    starts = [loud[0], *(b for a, b in pairwise(loud) if b - a > 4_800)] if len(loud) else []
    return [begin_s + float(at) / 48_000 for at in starts]


async def test_a_film_between_cards_has_all_planned_frames_and_is_in_sync(tmp_path: Path, store: Path) -> None:
    plan = board(
        [shot("a", caption="Dawn"), shot("b", caption="Noon")],
        title=card("title_card", "1.5", into("fade")),
        end=card("end_card", "1"),
    )

    scenes, facts = await made(plan, store, tmp_path / "film.mp4", Finish())

    # 36 frames of the card, then 25 and 25 of the shots, and 24 of the card.
    assert facts.frames == plan.frames == 36 + 25 + 25 + 24
    codes = codes_of(tmp_path / "film.mp4")
    assert len(codes) == plan.frames
    assert codes[36:86] == [*range(1_000, 1_025), *range(2_000, 2_025)]
    assert not {*codes[:36], *codes[86:]} & {*range(1_000, 1_121), *range(2_000, 2_121)}
    assert {scene.cut.shot: scene.begin for scene in scenes} == plan.begins
    assert [caption.begin for caption in captions_of(plan, scenes)] == [36, 61]
    assert [(chapter.title, chapter.begin) for chapter in chapters_of(scenes)] == [
        ("title card", 0),
        ("a", 36),
        ("b", 61),
        ("end card", 86),
    ]
    heard = clicks_s(tmp_path / "film.mp4")
    assert len(heard) == 2
    for seen_s, at_s in zip(heard, (36 / 24 + 0.5, 61 / 24 + 0.5), strict=True):
        assert abs(seen_s - at_s) < 0.001


async def test_the_words_are_to_be_seen_in_the_film(tmp_path: Path, store: Path) -> None:
    plan = board([shot("a")], title=card("title_card", "0.5"), end=card("end_card", "0.5"))

    await made(plan, store, tmp_path / "film.mp4", Finish())

    for frame in (0, 11, 12 + 25, 12 + 25 + 11):
        extract_frame(tmp_path / "film.mp4", frame, tmp_path / "still.png")
        with Image.open(tmp_path / "still.png") as still:
            pixels = grey(still)
        assert abs(pixels[2, 2] - 30) < 6
        assert np.count_nonzero(pixels > 200) > 100


kinds = st.sampled_from([None, "dissolve", "fade", "wipeleft", "fadeblack", "circleopen"])
seconds = st.sampled_from(["0.2", "0.5", "0.9", "1.3"])


@settings(
    deadline=None,
    max_examples=6,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lengths=st.lists(seconds, min_size=1, max_size=3),
    cards=st.tuples(st.none() | seconds, st.none() | seconds),
    ways=st.lists(kinds, min_size=5, max_size=5),
    fps=st.sampled_from([None, "23.976", "30"]),
)
async def test_whatever_cards_and_transitions_the_film_has_the_planned_frames(
    tmp_path: Path,
    store: Path,
    lengths: list[str],
    cards: tuple[str | None, str | None],
    ways: list[str | None],
    fps: str | None,
) -> None:
    found = [None if way is None else into(way, "0.1") for way in ways]
    shots = [shot(name, length, way) for name, length, way in zip("abc", lengths, found, strict=False)]
    title = None if cards[0] is None else card("title_card", cards[0], found[3])
    end = None if cards[1] is None else card("end_card", cards[1], found[4])
    try:
        plan = board(shots, title=title, end=end, fps=fps)
    except StoryboardError:
        assume(False)

    scenes, facts = await made(plan, store, tmp_path / "film.mp4", Finish())

    assert facts.frames == decode_whole(tmp_path / "film.mp4").frames == plan.frames
    assert {scene.cut.shot: scene.begin for scene in scenes} == plan.begins


# -- clips that are copied -------------------------------------------------------------------------------------------


def test_what_is_done_to_pictures_keeps_them_from_being_copied_and_is_said_first() -> None:
    plan = board([shot("a")], title=card("title_card", "1", into("fade")))

    with pytest.raises(BadInput, match="the title card begins with a fade"):
        check_finish(plan, Finish(seam="lossless"))


@pytest.mark.parametrize("seam", ["lossless", "auto"])
async def test_cards_are_coded_to_go_with_clips_that_are_copied(
    tmp_path: Path, store: Path, seam: Literal["lossless", "auto"]
) -> None:
    plan = board([shot("a"), shot("b")], title=card("title_card", "0.5"), end=card("end_card", "1"))
    check_finish(plan, Finish(seam=seam))

    scenes, facts = await made(plan, store, tmp_path / "film.mp4", Finish(seam=seam))

    assert (facts.seam, facts.not_lossless) == ("lossless", ())
    assert facts.frames == plan.frames == 12 + 25 + 25 + 24
    # Frames before a cut within a clip are coded again, and no frame of a card is a clip's own.
    assert 40 <= facts.copied_frames <= 50
    assert codes_of(tmp_path / "film.mp4")[12:62] == [*range(1_000, 1_025), *range(2_000, 2_025)]
    for frame, scene in ((0, scenes[0]), (11, scenes[0]), (62, scenes[-1]), (85, scenes[-1])):
        shown, drawn = tmp_path / "shown.png", tmp_path / "drawn.png"
        extract_frame(tmp_path / "film.mp4", frame, shown)
        extract_frame(scene.cut.clip, 0, drawn)
        with Image.open(shown) as one, Image.open(drawn) as other:
            assert np.abs(grey(one) - grey(other)).mean() < 1


@pytest.fixture
def silent(tmp_path: Path) -> None:
    """A clip in which nothing says how it was coded."""
    clip = bar_clip(tmp_path / "said.mp4", frames=121, first=1_000)
    options = ["-c", "copy", "-bsf:v", "filter_units=remove_types=6", str(tmp_path / "a.mp4")]
    subprocess.run([binary(), "-v", "error", "-i", str(clip), *options], check=True)


@pytest.mark.usefixtures("silent")
async def test_where_a_card_cannot_be_coded_so_it_is_said_why(tmp_path: Path) -> None:
    plan = board([shot("a")], end=card("end_card", "0.5"))

    _, facts = await made(plan, tmp_path, tmp_path / "film.mp4", Finish(seam="auto"))

    assert (facts.seam, facts.frames) == ("conform", 25 + 12)
    assert facts.not_lossless == ("the end card cannot be coded as the clip of shot 'a' is",)
    with pytest.raises(MediaError, match="cannot be joined without encoding them again: the end card cannot be coded"):
        await made(plan, tmp_path, tmp_path / "film.mp4", Finish(seam="lossless"))


async def test_a_card_that_goes_with_a_clip_is_made_once_and_while_others_are_generated(
    tmp_path: Path, store: Path
) -> None:
    plan = board([shot("a")], title=card("title_card", "0.5"))
    finish, folder = Finish(seam="lossless"), tmp_path / "parts"
    drawn = await card_of(plan, plan.cards[0], None, finish, store / "parts")
    cuts = [card_cut(plan, plan.cards[0], drawn.clip), cut_of(plan, plan.shots[0], clip_of(store, plan.shots[0]))]

    await prepare_seam(plan, cuts[0], cuts[1], cuts[1], finish, folder)
    before = names(folder)
    film = await join_lossless(
        [await fitted(cuts[0], cuts[1], layout_of(plan), folder), cuts[1]],
        layout_of(plan),
        tmp_path / "film.mp4",
        folder,
    )

    assert film.frames == 12 + 25
    assert len(before) == 2
    assert set(before) < set(names(folder))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_a_picture_with_finer_greys_is_seen_in_ours(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 320), (180, 1))
    picture = tmp_path / ("grey.png" if mode == "I;16" else "grey.tif")
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    Image.fromarray(ramp.astype(kinds[mode])).save(picture)
    card = PlannedCard("title card", ("·",), "#000000", MediaFile(str(picture)), None, 24, line=7)

    seen = np.asarray(draw_card(card, FILM, picture))[20, :, 0].astype(int)

    assert abs(seen - ramp[20] / 257).max() <= 2
