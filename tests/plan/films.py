"""Films of every shape for hypothesis: chains, cuts, references, several takes, clips that are in the store already."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Boundary, ClipOf, FrameOf, Shot, Storyboard
from tests.plan.boards import PRO, PROVIDER, STANDARD


@dataclass(frozen=True)
class Film:
    """A storyboard, its plan, and the content keys that are in the store."""

    board: Storyboard
    plan: Plan
    reused: frozenset[str]

    @property
    def facts(self) -> dict[str, InputFacts]:
        return {}


def board_of(*shots: Shot, model: str = STANDARD) -> Storyboard:
    width, height = (1280, 720) if model == STANDARD else (1920, 1080)
    return Storyboard(title="Film", model=model, width=width, height=height, shots=shots)


def film_of(*shots: Shot, reused: tuple[tuple[str, int], ...] = ()) -> Film:
    """A film of which the clips of some takes, by shot and number, are there."""
    board = board_of(*shots)
    plan = build_plan(board, {}, PROVIDER)
    return Film(board, plan, frozenset(plan.shot(shot).takes[number - 1].content_key for shot, number in reused))


@st.composite
def shots(draw: st.DrawFn, index: int) -> Shot:
    """The shot at this place; it takes frames or clips of shots before it, or none."""
    earlier = [f"s{number}" for number in range(index)]
    kind = draw(st.sampled_from(["text", "continue", "frame", "references", "edit"] if earlier else ["text"]))
    takes = draw(st.integers(1, 3))
    facts = {"id": f"s{index}", "takes": takes, "select": draw(st.integers(1, takes))}
    # Few prompts, so that some shots are the same clip.
    prompt = draw(st.sampled_from(["A tram climbs", "A lake at dawn"]))
    duration_s = draw(st.sampled_from([None, Decimal(4), Decimal(5), Decimal("7.5"), Decimal(10)]))
    if kind == "edit":
        return Shot(prompt=prompt, video=ClipOf(draw(st.sampled_from(earlier))), **facts)  # type: ignore[arg-type]
    if kind == "references":
        pictures = tuple(FrameOf(shot, "last") for shot in draw(st.sets(st.sampled_from(earlier), min_size=1)))
        return Shot(prompt=prompt, duration_s=duration_s, reference_images=pictures[:7], **facts)  # type: ignore[arg-type]
    if kind == "frame":
        first = FrameOf(draw(st.sampled_from(earlier)), "first")
        return Shot(prompt=prompt, duration_s=duration_s, first_frame=first, **facts)  # type: ignore[arg-type]
    boundary = Boundary.CONTINUE if kind == "continue" else Boundary.CUT
    return Shot(prompt=prompt, duration_s=duration_s, boundary=boundary, **facts)  # type: ignore[arg-type]


@st.composite
def films(draw: st.DrawFn, most: int = 7) -> Film:
    """Any film of a few shots, of either model, some of its clips in the store."""
    count = draw(st.integers(1, most))
    board = board_of(*(draw(shots(index)) for index in range(count)), model=draw(st.sampled_from([STANDARD, PRO])))
    plan = build_plan(board, {}, PROVIDER)
    return Film(board, plan, frozenset(draw(st.sets(st.sampled_from(sorted(plan.content_keys))))))
