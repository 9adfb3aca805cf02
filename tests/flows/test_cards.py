"""A film between a title card and an end card, as a run makes it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import BadInput, Incomplete, StoryboardError
from tasks.media.frames import extract_frame
from tests.flows.conftest import Home, Shotchain
from tests.flows.test_render import Refusing, books, decoded_frames, manifest_at

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

CARDS = """
title: Lamps
title_card: {text: [Two lamps, by us], duration: 1, background: navy, transition: {kind: fade, duration: 0.25}}
end_card: {text: The End, duration: 1, picture: wall.png, transition: {kind: slideup, duration: 0.25}}
shots:
  - {id: lake, prompt: A calm lake, duration: 1, transition: {kind: dissolve, duration: 0.25}, caption: Dawn}
  - {id: hill, prompt: The lake goes on, duration: 1, boundary: continue, caption: Noon}
"""
SHOTS = CARDS[CARDS.index("shots:") :].replace("transition: {kind: dissolve, duration: 0.25}, ", "")


@pytest.fixture
def cards(home: Home) -> Path:
    Image.new("RGB", (640, 480), (200, 40, 40)).save(home.folder / "wall.png")
    return home.storyboard(CARDS)


def pixels_at(film: Path, frame: int, folder: Path) -> np.ndarray:
    extract_frame(film, frame, folder / "still.png")
    with Image.open(folder / "still.png") as still:
        return np.asarray(still.convert("RGB")).astype(int)


async def test_a_film_between_cards(home: Home, cards: Path) -> None:
    told = await render(str(cards), str(home.folder / "out"), provider="emulator", timeline=True)

    film, manifest = home.folder / "out" / "film.mp4", manifest_at(told["manifest"])
    # 24 frames of the title, 25 and 24 of the shots, 24 of the end, and 6 of two at once, twice.
    assert told["frames"] == 24 - 6 + 25 + 24 - 6 + 24 == decoded_frames(film)
    assert (told["shots"], told["generated"], told["cost_usd"]) == (2, 2, "0.84")
    assert [card["film"]["begin_frame"] for card in manifest["cards"]] == [0, 61]
    assert [shot["film"]["begin_frame"] for shot in manifest["shots"]] == [18, 43]
    assert manifest["plan"]["end_card"]["begin_frame"] == 61
    with av.open(str(film)) as container:
        chapters = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert chapters == ["title card", "lake", "hill", "end card"]
    captions = (home.folder / "out" / "captions.srt").read_text(encoding="utf-8")
    assert "00:00:00,750 --> 00:00:01,792" in captions
    media = sorted(path.name for path in (home.folder / "out" / "clips").iterdir())
    assert media == ["end-card.mp4", "hill-take1.mp4", "lake-take1.mp4", "title-card.mp4"]
    title, end = pixels_at(film, 15, home.folder), pixels_at(film, 84, home.folder)
    assert np.abs(title[5, 5] - (0, 0, 128)).max() < 6
    assert np.abs(end[5, 5] - (200, 40, 40)).max() < 6
    assert all(np.count_nonzero(still.min(axis=2) > 200) > 500 for still in (title, end))
    # The poster is of the first shot, not of the card.
    with Image.open(home.folder / "out" / "poster.jpg") as poster:
        assert np.abs(np.asarray(poster).astype(int)[5, 5] - (0, 0, 128)).max() > 20


async def test_cards_come_and_go_without_a_clip_being_bought(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    Image.new("RGB", (640, 480)).save(home.folder / "wall.png")
    film = str(home.folder / "film.mp4")
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=0.0)) as server:
        await render(str(home.storyboard(SHOTS)), film, base_url=server.base_url)
        told = await render(str(home.storyboard(CARDS)), film, base_url=server.base_url)
        again = await render(str(home.storyboard(SHOTS)), film, base_url=server.base_url)
        assert books(server)["total_usd"] == "0.84"

    assert (told["generated"], told["reused"]) == (0, 2)
    assert (told["frames"], again["frames"]) == (85, 49)


async def test_clips_are_copied_between_cards(home: Home) -> None:
    board = home.storyboard(f"title_card: {{text: Two lamps, duration: 1}}\nend_card: The End\n{SHOTS}")

    told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator", seam="lossless")

    film = manifest_at(told["manifest"])["film"]
    assert told["frames"] == 24 + 25 + 24 + 72 == decoded_frames(home.folder / "film.mp4")
    assert film["seam"] == "lossless"
    # At most three frames before each of the two places at which a clip is cut are coded again.
    assert 49 - 6 <= film["copied_frames"] <= 49


async def test_a_shot_that_is_missing_has_a_slate_between_the_cards(
    home: Home, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    board = home.storyboard(CARDS.replace("The lake goes on", "Refuse me"), cards.name)
    with EmulatorServer(EmulatorSettings(latency_s=0.0)) as server:
        refusing = Refusing(server.base_url, "Refuse me")
        with refusing, pytest.raises(Incomplete, match="the film shows slates") as caught:
            await render(str(board), str(home.folder / "film.mp4"), base_url=refusing.base_url, placeholder=True)

    # The slate is as long as the shot is expected to be.
    assert caught.value.summary["frames"] == 85 == decoded_frames(home.folder / "film.mp4")


async def test_takes_alone_need_no_cards(home: Home, cards: Path) -> None:
    told = await render(str(cards), str(home.folder / "film.mp4"), provider="emulator", only=["lake"])

    assert [take["shot"] for take in told["takes"]] == ["lake"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{text: 海}", "the built-in font has no '海', which the title card has"),
        ("{text: 'W" + "w" * 500 + "'}", "too many or too long"),
        ("{text: Sea, picture: film.yaml.png}", "is not a picture"),
        ("{text: Sea, duration: 0}", "'title_card.duration' cannot be 0"),
    ],
)
@pytest.mark.quick
async def test_what_cannot_be_drawn_is_refused_before_anything_is_paid(
    home: Home, monkeypatch: pytest.MonkeyPatch, written: str, said: str
) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    (home.folder / "film.yaml.png").write_text("no picture")
    board = home.storyboard(f"title: Lamps\ntitle_card: {written}\n{SHOTS}")
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=0.0)) as server:
        with pytest.raises((BadInput, StoryboardError), match=said) as caught:
            await render(str(board), str(home.folder / "film.mp4"), base_url=server.base_url)
        assert books(server)["counts"]["posts"] == 0

    assert caught.value.line == 2


def test_a_plan_lists_them(home: Home, cards: Path, shotchain: Shotchain) -> None:
    shown = shotchain("plan", str(cards), "--provider", "emulator")
    told = shotchain("plan", str(cards), "--provider", "emulator", "--json")

    assert [line.split()[:2] for line in shown.out.splitlines() if "card" in line] == [
        ["title", "card"],
        ["end", "card"],
    ]
    assert "85 frames" in shown.out
    plan = json.loads(told.out)
    assert (plan["frames"], plan["title_card"]["frames"], plan["cost_usd"]) == (85, 24, "0.84")


def test_the_command_names_the_line_and_the_way_out(home: Home, shotchain: Shotchain) -> None:
    board = home.storyboard(f"title_card: 海\n{SHOTS}")

    told = shotchain("render", str(board), "--provider", "emulator", "--output", "film.mp4")

    assert told.code == 2
    assert "board.yaml:1" in told.err
    assert "--caption-font" in told.err
