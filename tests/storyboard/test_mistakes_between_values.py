"""Every kind of mistake that only shows between values, or in the language of the file; told once each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.errors import Problem, StoryboardError
from tasks.storyboard.read import read_storyboard

PICTURE = b"\x89PNG\r\n\x1a\n"
SHOT_KEYS = (
    "prompt, duration, boundary, first_frame, last_frame, reference_images, reference_videos, video, "
    "keep_original_sound, takes, select, output_format, output_quality, safety, ttl, "
    "transition, fit, gain_db, narration, narration_gain_db, caption"
)
PICTURES = "an asset's name, a path, a URI, or {shot: ID, frame: first|last}"
VIDEOS = "an asset's name, a path, a URI, or {shot: ID}"
MEDIA = "a path (with '/' or a suffix such as .png), or a URI"


@dataclass(frozen=True)
class Mistake:
    """One storyboard with one mistake, and what is said about it."""

    text: str
    line: int
    message: str
    accepted: str | None = None
    shot: str | None = None
    key: str | None = None


def shot(*lines: str) -> str:
    """A storyboard with two shots, the second with `lines` from line 6 on."""
    return "\n".join(
        [
            "assets:",
            "  hero: hero.png",
            "shots:",
            "  - {id: one, prompt: The first}",
            "  - id: two",
            *(f"    {line}" for line in lines),
            "",
        ]
    )


def on_two(lines: str | list[str], message: str, accepted: str | None, key: str, line: int = 6) -> Mistake:
    """A mistake in the second shot."""
    written = [lines] if isinstance(lines, str) else lines
    has_prompt = any(item.startswith(("prompt", "promt")) for item in written)
    text = shot(*written, *([] if has_prompt else ["prompt: The second"]))
    return Mistake(text, line, message, accepted, "two", key)


ONE = "shots:\n  - id: one\n    prompt: x\n"

MISTAKES: dict[str, Mistake] = {
    # Pictures and videos
    "picture is a number": on_two("first_frame: 3", "'first_frame' must name a picture", PICTURES, "first_frame"),
    "picture in a list": on_two(
        ["reference_images:", "  - hero", "  - 3"],
        "'reference_images[1]' must name a picture",
        PICTURES,
        "reference_images[1]",
        line=8,
    ),
    "video is a number": on_two("video: 3", "'video' must name a video", VIDEOS, "video"),
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
    # References
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
    "reference without frame": on_two(
        "first_frame: {shot: one}",
        "'first_frame.frame' is missing: say which frame of the other shot",
        "first, last",
        "first_frame.frame",
    ),
    "reference to a middle frame": on_two(
        "first_frame: {shot: one, frame: middle}",
        "'first_frame.frame' cannot be 'middle'",
        "first, last",
        "first_frame.frame",
    ),
    "frame of a video": on_two(
        "video: {shot: one, frame: last}",
        "a video is the whole clip of the other shot: leave 'frame' out",
        "{shot: ID}",
        "video.frame",
    ),
    "shot referring to itself": on_two(
        "first_frame: {shot: two, frame: last}",
        "the shot refers to itself",
        "the id of another shot",
        "first_frame.shot",
    ),
    "circle of two": Mistake(
        "shots:\n  - id: a\n    prompt: x\n    first_frame: {shot: b, frame: last}\n"
        "  - id: b\n    prompt: x\n    video: {shot: a}\n",
        4,
        "the shots need one another in a circle: a -> b -> a",
        "'a' without a frame or clip of 'b', or another order",
        "a",
        "first_frame",
    ),
    "circle through continue": Mistake(
        "shots:\n  - id: a\n    prompt: x\n    last_frame: {shot: c, frame: first}\n"
        "  - {id: b, prompt: x, boundary: continue}\n  - {id: c, prompt: x, boundary: continue}\n",
        4,
        "the shots need one another in a circle: a -> b -> c -> a",
        "'a' without a frame or clip of 'c', or another order",
        "a",
        "last_frame",
    ),
    "an id twice": Mistake(
        "shots:\n  - id: a\n    prompt: x\n  - id: a\n    prompt: x\n",
        4,
        "the id 'a' is used twice, on line 2 and on line 4",
        "an id that no other shot has",
        "a",
        "id",
    ),
    "a first shot that continues": Mistake(
        ONE + "    boundary: continue\n",
        4,
        "the first shot cannot 'continue': there is no shot before it",
        "cut",
        "one",
        "boundary",
    ),
    "a first shot that matches": Mistake(
        ONE + "    boundary: match\n",
        4,
        "the first shot cannot 'match': there is no shot before it",
        "cut",
        "one",
        "boundary",
    ),
    "a selected take that is not made": on_two(
        ["takes: 2", "select: 3"], "'select' is 3, but 2 takes are made", "1 to 2, or more takes", "select", line=7
    ),
    # YAML itself
    "a key twice": Mistake(
        ONE + "    prompt: y\n", 4, "the key 'prompt' is given twice, on line 3 and here", key="prompt"
    ),
    "a key that is a number": Mistake(
        "assets:\n  1: hero.png\n" + ONE + "    first_frame: '1'\n",
        2,
        "the key 1 is not text: write it in quotes, '1'",
        key="1",
    ),
    "a tab": Mistake("shots:\n\t- id: a\n", 2, "YAML does not allow tabs here", "spaces for indentation"),
    "an open quote": Mistake(
        "title: x\nshots:\n  - id: a\n    prompt: 'x\n",
        4,
        "this is not valid YAML: a quotation mark is opened here and never closed",
    ),
    "a colon in a prompt": Mistake(
        "shots:\n  - id: a\n    prompt: A man: a plan\n",
        3,
        "this is not valid YAML: a text with ': ' in it must be in quotes, or the indentation is off",
    ),
    "a prompt with an at sign": Mistake(
        "shots:\n  - id: a\n    prompt: @noon\n",
        3,
        "this is not valid YAML: a text that begins with '@' must be in quotes",
    ),
    "an alias of nothing": Mistake(
        "title: *film\n",
        1,
        "the alias '*film' names nothing above it; a text that begins with '*' must be in quotes",
    ),
    "an alias of itself": Mistake("assets: &a\n  b: *a\n", 2, "the alias '*a' contains itself"),
    "a tag": Mistake(
        ONE.replace("x", "!wow x"),
        3,
        "the YAML tag '!wow' is not used here; a text that begins with '!' must be in quotes",
    ),
    "a merge of nothing": Mistake(ONE + "    <<: 3\n", 4, "'<<' takes an alias of a mapping", key="<<"),
    "two documents": Mistake(
        ONE + "---\ntitle: x\n", 4, "a second document begins here", "one storyboard a file, without '---'"
    ),
    "a control character": Mistake(
        "title: a\x07b\n", 1, "there is an invisible control character here (U+0007): delete it"
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hero.png").write_bytes(PICTURE)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems_of(path: str) -> tuple[Problem, ...]:
    with pytest.raises(StoryboardError) as caught:
        read_storyboard(path)
    return caught.value.problems


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_once_where_it_is(folder: Path, mistake: Mistake) -> None:
    (folder / "film.yaml").write_text(mistake.text, encoding="utf-8")

    (problem,) = problems_of("film.yaml")

    assert problem == Problem(mistake.message, "film.yaml", mistake.line, mistake.key, mistake.shot, mistake.accepted)


def test_all_mistakes_are_told_in_the_order_of_the_file(folder: Path) -> None:
    text = (
        "titel: x\n"
        "assets:\n"
        "  gone: gone.png\n"
        "shots:\n"
        "  - id: 1\n"
        "    prompt: x\n"
        "    first_frame: gone\n"
        "  - id: b\n"
        "    promt: x\n"
        "    duration: five\n"
        "    last_frame: {shot: '1', frame: last}\n"
        "  - id: b\n"
        "    prompt: x\n"
        "    reference_images: [heroo, {shot: nobody, frame: last}, 3, a/b.png]\n"
        "    select: 2\n"
    )
    (folder / "film.yaml").write_text(text)

    found = problems_of("film.yaml")

    assert [(problem.line, problem.message.split(" ")[0]) for problem in found] == [
        (1, "unknown"),
        (3, "there"),
        (5, "'id'"),
        (9, "unknown"),
        (10, "'duration'"),
        (12, "the"),
        (14, "'reference_images[2]'"),
        (14, "there"),
        (14, "shot"),
        (14, "there"),
        (15, "'select'"),
    ]


def test_an_error_is_readable_as_a_whole(folder: Path) -> None:
    (folder / "film.yaml").write_text(ONE + "    lenght: 5\n    ttl: 0\n")

    with pytest.raises(StoryboardError) as caught:
        read_storyboard("film.yaml")

    assert str(caught.value) == (
        "film.yaml:4: shot 'one': unknown key 'lenght'\n"
        f"    accepted: {SHOT_KEYS}, id\n"
        "film.yaml:5: shot 'one': 'ttl' cannot be 0\n"
        "    accepted: a whole number from 1"
    )


def test_two_circles_are_two_problems(folder: Path) -> None:
    text = "shots:\n" + "".join(
        f"  - {{id: {one}, prompt: x, video: {{shot: {other}}}}}\n" for one, other in ("ab", "ba", "cd", "dc")
    )
    (folder / "film.yaml").write_text(text)

    assert [problem.message.rpartition(": ")[2] for problem in problems_of("film.yaml")] == [
        "a -> b -> a",
        "c -> d -> c",
    ]


def test_secrets_in_addresses_do_not_reach_messages(folder: Path) -> None:
    (folder / "film.yaml").write_text(ONE + "    video: 'https://:hunter22@/a.mp4?token=hunter22'\n")

    (problem,) = problems_of("film.yaml")

    assert "hunter22" not in str(problem)
