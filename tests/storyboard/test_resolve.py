"""Mistakes that only show when several values are seen together; and all of them at once, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import StoryboardError
from tasks.storyboard.read import read_storyboard
from tests.storyboard.mistakes import ONE, SHOT_KEYS, Mistake, assert_told_once, on_two, problems_of

MISTAKES: dict[str, Mistake] = {
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
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_once_where_it_is(folder: Path, mistake: Mistake) -> None:
    assert_told_once(mistake, folder)


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
