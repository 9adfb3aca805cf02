"""The graph of a plan as Mermaid."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import given

from tasks.plan.estimate import estimate
from tasks.plan.picture import draw
from tasks.plan.timing import ClipTimes
from tasks.storyboard.model import Boundary, Shot
from tests.plan.films import Film, film_of, films


def drawn(film: Film, times: ClipTimes | None = None) -> str:
    told = estimate(film.plan, film.reused, times=times or ClipTimes(), max_in_flight=8)
    return draw(film.plan, told)


def test_a_box_a_shot_and_an_arrow_a_need() -> None:
    film = film_of(
        Shot(id="lake", prompt="A lake"),
        Shot(id="ripples", prompt="It ripples", boundary=Boundary.CONTINUE, takes=2),
        reused=(("lake", 1),),
    )
    assert drawn(film, ClipTimes(stated_s=Decimal(60))).splitlines()[:4] == [
        "flowchart LR",
        '  s0["lake<br/>text, 5 s<br/>reused"]',
        '  s1["ripples<br/>frames, 5 s<br/>2 × $0.42<br/>0–60 s"]',
        "  s0 --> s1",
    ]
    assert drawn(film, ClipTimes(stated_s=Decimal(60))).splitlines()[-3:] == [
        "  class s0 reused",
        "  class s1 generated",
        "  class s1 critical",
    ]


def test_what_mermaid_would_take_for_its_own_is_escaped() -> None:
    line = drawn(film_of(Shot(id='a"]; end <b>', prompt="A lake"))).splitlines()[1]
    assert line == '  s0["a#34;#93;#59; end #60;b#62;<br/>text, 5 s<br/>$0.42"]'


@given(film=films())
def test_every_film_is_drawn_whole(film: Film) -> None:
    text = drawn(film, ClipTimes(stated_s=Decimal(60)))
    assert len(re.findall(r"^  s\d+\[", text, re.MULTILINE)) == len(film.plan.shots)
    assert text.count("-->") == sum(len(shot.depends_on) for shot in film.plan.shots)
