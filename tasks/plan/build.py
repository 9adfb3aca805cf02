"""Storyboard + model + facts about the inputs -> Plan. Pure: the same in, the same out, nothing read or sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tasks.errors import Problem, StoryboardError
from tasks.plan import graph
from tasks.plan.boundaries import Joined, join_shots
from tasks.plan.catalog import ModelSpec, load_catalog
from tasks.plan.keys import identity_of, request_key, take_key
from tasks.plan.lengths import exact_rate, film_frames
from tasks.plan.measure import Measured, measure
from tasks.plan.misfits import misfits
from tasks.plan.model import (
    LAST,
    ClipFrame,
    Input,
    Plan,
    PlannedCard,
    PlannedShot,
    PlannedSound,
    PlannedTake,
    WholeClip,
    shown_uri,
)
from tasks.plan.modes import check_film, check_shot
from tasks.plan.request import build_request
from tasks.plan.transitions import PlannedTransition, check_room, plan_ending, plan_transitions
from tasks.plan.unread import unread
from tasks.rounding import round_half_up
from tasks.storyboard.cycles import find_cycles
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Card, MediaFile, Storyboard

__all__ = ["build_plan"]


def build_plan(
    storyboard: Storyboard,
    facts: Mapping[str, InputFacts],
    provider: str,
    catalog: Mapping[str, ModelSpec] | None = None,
) -> Plan:
    """Plan a storyboard.

    Args:
        storyboard: As read.
        facts: What was found out about each file that it uses, by URI.
        provider: Identity of the provider that would be paid.
        catalog: The models by id; those of `configs/models` if not given.

    Raises:
        StoryboardError: The model does not allow what the storyboard asks for; every mistake with its line.
    """
    catalog = load_catalog() if catalog is None else catalog
    spec = catalog.get(storyboard.model)
    if spec is None:
        raise StoryboardError(
            [
                Problem(
                    f"no model '{storyboard.model}'",
                    file=storyboard.file,
                    line=storyboard.lines.get("model"),
                    key="model",
                    accepted=", ".join(sorted(catalog)),
                )
            ]
        )
    return _Planner(storyboard, facts, provider, spec).plan()


class _Planner:
    """One planning of one storyboard."""

    def __init__(self, storyboard: Storyboard, facts: Mapping[str, InputFacts], provider: str, spec: ModelSpec) -> None:
        self.storyboard = storyboard
        self.facts = facts
        self.provider = provider
        self.spec = spec
        self.film_rate = exact_rate(storyboard.fps) if storyboard.fps else spec.frames.rate
        self.problems: list[Problem] = []
        self.measured: dict[str, Measured] = {}
        self.identities: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, list[str]] = {}

    def plan(self) -> Plan:
        board, spec = self.storyboard, self.spec
        self.problems += check_film(board, spec)
        joined = join_shots(board, self._content, self.problems)
        for item in joined:
            self.problems += check_shot(board, item, spec, board.prompt_of(item.shot), self._facts_of)
        depends_on = {item.shot.id: item.needs for item in joined}
        self._check_cycles(depends_on)
        by_id = {item.shot.id: item for item in joined}
        in_order = [by_id[shot_id] for shot_id in graph.in_order(depends_on)]
        self.measured, mistakes = measure(board, in_order, spec, self._facts_of)
        self.problems += mistakes
        seams = {item.shot.id for item in joined if item.seam}
        transitions, mistakes = plan_transitions(board, seams, self.film_rate)
        self.problems += mistakes
        self._stop_at_problems()
        cards = [card for card in (board.title_card, board.end_card) if card is not None]
        frames = {item.shot.id: self._frames(item) for item in joined}
        frames |= {card.id: self._card_frames(card) for card in cards}
        ending = plan_ending(board, self.film_rate)
        self.problems += check_room(board, frames, transitions, ending, self.film_rate)
        self._stop_at_problems()
        for item in in_order:
            self._key(self.measured[item.shot.id])
        priority = graph.priorities(depends_on)
        return Plan(
            title=board.title,
            file=board.file,
            provider=self.provider,
            model=spec.id,
            width=board.width,
            height=board.height,
            rate=self.film_rate,
            clip_rate=spec.frames.rate,
            retries=board.retries,
            shots=tuple(
                self._planned(self.measured[item.shot.id], depends_on[item.shot.id], transitions[item.shot.id])
                for item in joined
            ),
            critical_path_s=max(priority.values()) * spec.assumed_wait_s,
            priority=priority,
            warnings=tuple(misfits(board, in_order, spec, self.film_rate, self._facts_of)),
            unpinned=tuple(dict.fromkeys(unread(self._used(joined), self.facts))),
            music=self._music(),
            loudness_lufs=board.loudness_lufs,
            title_card=self._card(board.title_card, transitions),
            end_card=self._card(board.end_card, transitions),
            ending=ending,
        )

    def _check_cycles(self, depends_on: graph.Graph) -> None:
        """The storyboard's own circles are found when it is read; a still shared by `match` may close another."""
        cycles = find_cycles(depends_on)
        for cycle in cycles:
            self.problems.append(
                self.storyboard.problem(
                    self.storyboard.shot(cycle[0]),
                    "boundary",
                    f"the shots need one another in a circle: {' -> '.join((*cycle, cycle[0]))}",
                    f"'{cycle[0]}' without a frame or clip of '{cycle[-1]}', or another order",
                )
            )
        if cycles:
            self._stop_at_problems()

    def _stop_at_problems(self) -> None:
        if self.problems:
            raise StoryboardError(sorted(self.problems, key=lambda problem: problem.line or 0))

    def _facts_of(self, media: MediaFile) -> InputFacts | None:
        return self.facts.get(media.uri)

    def _content(self, media: MediaFile) -> str:
        facts = self._facts_of(media)
        return facts.sha256 if facts is not None and facts.sha256 else f"unread:{media.uri}"

    # -- keys ------------------------------------------------------------------------------------------------------

    def _key(self, measured: Measured) -> None:
        shot, output = measured.joined.shot, self.spec.output
        rules = self.spec.modes[measured.mode]
        given = dict(shot.safety or {})
        checks = bool(given.get("checkContent", given.get("mode", "none") != "none"))
        identity = identity_of(
            provider=self.provider,
            model=self.spec.id,
            prompt=self.storyboard.prompt_of(shot),
            width=self.storyboard.width if rules.sends_size else None,
            height=self.storyboard.height if rules.sends_size else None,
            generate_s="source" if rules.follows_source else str(measured.length.generate_s),
            inputs=[(item.role, *self._what(item)) for item in measured.inputs],
            keep_original_sound=bool(shot.keep_original_sound),
            output_format=shot.output_format or output.default_format,
            output_quality=shot.output_quality or output.default_quality,
            safety={"checkContent": checks, "mode": given.get("mode", "fast" if checks else "none")},
        )
        key = request_key(identity)
        self.identities[shot.id] = identity
        self.keys[shot.id] = [take_key(key, take) for take in range(1, shot.takes + 1)]

    def _what(self, item: Input) -> tuple[str, ...]:
        match item.source:
            case ClipFrame(shot, index):
                return ("frame", self._selected_key(shot), str(index))
            case WholeClip(shot):
                return ("clip", self._selected_key(shot))
            case MediaFile():
                return ("file", self._content(item.source))

    def _selected_key(self, shot_id: str) -> str:
        return self.keys[shot_id][self.measured[shot_id].joined.shot.select - 1]

    # -- the answer ------------------------------------------------------------------------------------------------

    def _frames(self, joined: Joined) -> int:
        """Frames of the film that a shot is expected to have."""
        length = self.measured[joined.shot.id].length
        return film_frames(length.kept_frames - joined.seam, self.spec.frames.rate, self.film_rate)

    def _planned(
        self, measured: Measured, depends_on: tuple[str, ...], transition: PlannedTransition | None
    ) -> PlannedShot:
        shot, length, joined = measured.joined.shot, measured.length, measured.joined
        rules = self.spec.modes[measured.mode]
        width, height = (self.storyboard.width, self.storyboard.height) if rules.sends_size else (None, None)
        return PlannedShot(
            id=shot.id,
            mode=measured.mode,
            boundary=joined.boundary,
            prompt=self.storyboard.prompt_of(shot),
            width=width,
            height=height,
            generate_s=length.generate_s,
            duration_s=length.duration_s,
            inputs=measured.inputs,
            depends_on=depends_on,
            last_kept=length.last_kept,
            seam=joined.seam,
            clip_frames=length.clip_frames,
            frames=self._frames(joined),
            price_usd=self.spec.price_usd(measured.mode, length.generate_s),
            takes=tuple(PlannedTake(take, key) for take, key in enumerate(self.keys[shot.id], start=1)),
            select=shot.select,
            request=self._request(measured, width, height),
            identity=self.identities[shot.id],
            transition=transition,
            fit=shot.fit,
            gain_db=shot.gain_db,
            narration=self._sound(shot.narration, shot.narration_gain_db) if shot.narration else None,
            caption=shot.caption,
        )

    def _card_frames(self, card: Card) -> int:
        return max(1, round_half_up(Fraction(card.duration_s) * self.film_rate))

    def _card(self, card: Card | None, transitions: Mapping[str, PlannedTransition | None]) -> PlannedCard | None:
        if card is None:
            return None
        facts = self._facts_of(card.picture) if card.picture else None
        return PlannedCard(
            id=card.id,
            text=card.text,
            background=card.background,
            picture=card.picture,
            sha256=facts.sha256 if facts else None,
            frames=self._card_frames(card),
            transition=transitions[card.id],
            line=card.lines.get("text", card.lines.get("")),
        )

    def _music(self) -> PlannedSound | None:
        music = self.storyboard.music
        if music is None:
            return None
        return replace(self._sound(music.file, music.gain_db), fade_out_s=music.fade_out_s, duck_db=music.duck_db)

    def _sound(self, media: MediaFile, gain_db: Decimal) -> PlannedSound:
        facts = self._facts_of(media)
        return PlannedSound(media, facts.sha256 if facts else None, gain_db)

    def _request(self, measured: Measured, width: int | None, height: int | None) -> dict[str, Any]:
        shot = measured.joined.shot
        return build_request(
            shot,
            model=self.spec.id,
            prompt=self.storyboard.prompt_of(shot),
            width=width,
            height=height,
            generate_s=None if self.spec.modes[measured.mode].follows_source else measured.length.generate_s,
            inputs=measured.inputs,
            show=_shown,
        )

    def _used(self, joined: list[Joined]) -> Iterator[tuple[str | None, object]]:
        """Every input and sound of the film, with the shot that uses it."""
        if self.storyboard.music is not None:
            yield None, self.storyboard.music.file
        for card in (self.storyboard.title_card, self.storyboard.end_card):
            yield None, card.picture if card else None
        for item in joined:
            yield from ((item.shot.id, part.source) for part in self.measured[item.shot.id].inputs)
            yield item.shot.id, item.shot.narration


def _shown(item: Input) -> str:
    """How a plan shows an input: files by URI, what other shots will give by shot and frame."""
    match item.source:
        case MediaFile(uri):
            return shown_uri(uri)
        case ClipFrame(shot, index):
            return f"shot:{shot}/{'last' if index == LAST else index}"
        case WholeClip(shot):
            return f"shot:{shot}"
