"""What a storyboard names and what is not there: told once each, at its line, with what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storyboard.mistakes import ONE, Mistake, assert_told_once, on_two, problems_of

MEDIA = "a path (with '/' or a suffix such as .png), or a URI"

MISTAKES: dict[str, Mistake] = {
    "unknown asset": on_two(
        "first_frame: heroo",
        "there is no asset 'heroo' (did you mean 'hero'?)",
        f"hero; {MEDIA}",
        "first_frame",
    ),
    "unknown asset without any": Mistake(
        ONE + "    last_frame: hero\n", 4, "there is no asset 'hero'", MEDIA, "one", "last_frame"
    ),
    "missing picture, inline": on_two(
        "first_frame: heroe.png",
        "there is no file 'heroe.png' (did you mean 'hero.png'?)",
        "a path to a file, relative to the current folder",
        "first_frame",
    ),
    "missing picture in a list": on_two(
        ["reference_images:", "  - hero", "  - sub/none.png"],
        "there is no file 'sub/none.png'",
        "a path to a file, relative to the current folder",
        "reference_images[1]",
        line=8,
    ),
    "missing picture of an asset, used twice": Mistake(
        "assets:\n  a: none.webp\nshots:\n  - {id: a, prompt: x, first_frame: a}\n"
        "  - {id: b, prompt: x, first_frame: a}\n",
        2,
        "there is no file 'none.webp'",
        "a path to a file, relative to the current folder",
        key="assets.a",
    ),
    "missing picture of the defaults": Mistake(
        "defaults:\n  last_frame: none.png\nshots:\n  - {id: a, prompt: x}\n  - {id: b, prompt: x}\n",
        2,
        "there is no file 'none.png'",
        "a path to a file, relative to the current folder",
        key="defaults.last_frame",
    ),
    "a folder as picture": on_two("first_frame: ./sub", "'./sub' is a folder", "a path to a file", "first_frame"),
    "a file URI of another machine": on_two(
        "first_frame: file://other/hero.png",
        "'file://other/hero.png' cannot be used: a file URI has three slashes and an absolute path: "
        "file:///folder/picture.png",
        "a path, or a URI",
        "first_frame",
    ),
    "damaged data URI": on_two(
        "first_frame: 'data:image/png;base64,!!'",
        "'data:image/png;base64,!!' cannot be used: the base64 of a data URI is damaged",
        "a path, or a URI",
        "first_frame",
    ),
    "a web address without host": on_two(
        "video: 'https:///a.mp4'",
        "'https:///a.mp4' cannot be used: a web address needs a host: https://host/picture.png",
        "a path, or a URI",
        "video",
    ),
    "unknown shot": on_two(
        ["first_frame:", "  frame: last", "  shot: onne"],
        "shot 'onne' is not in this storyboard (did you mean 'one'?)",
        "one, two",
        "first_frame.shot",
        line=8,
    ),
    "unknown shot in a video": on_two(
        "video: {shot: three}", "shot 'three' is not in this storyboard", "one, two", "video.shot"
    ),
    "shot referring to itself": on_two(
        "first_frame: {shot: two, frame: last}",
        "the shot refers to itself",
        "the id of another shot",
        "first_frame.shot",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_once_where_it_is(folder: Path, mistake: Mistake) -> None:
    assert_told_once(mistake, folder)


def test_secrets_in_addresses_do_not_reach_messages(folder: Path) -> None:
    (folder / "film.yaml").write_text(ONE + "    video: 'https://:hunter22@/a.mp4?token=hunter22'\n")

    (problem,) = problems_of("film.yaml")

    assert "hunter22" not in str(problem)
