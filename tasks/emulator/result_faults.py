"""Faults of results, which are decided when their task is accepted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from tasks.emulator.fates import Codec, Expiry, Failure, Fate, Look
from tasks.emulator.prices import dollars
from tasks.emulator.rule import Rule, Seconds

__all__ = ["Cost", "Expire", "Fail", "Media", "Nsfw", "Stuck"]


class _OfResults(Rule):
    """`results`: only for these results of the task, by number; without a word, for all."""

    calls = ("submit",)
    usual_phase = "accepted"
    results: list[PositiveInt] | None = None

    def concerns(self, number: int) -> bool:
        """See `Rule.concerns`."""
        return self.results is None or number in self.results


class Fail(_OfResults):
    """The result fails, `after_s` seconds after its task was accepted."""

    fault: Literal["fail"]
    after_s: Seconds | None = None
    code: str = "providerInternalError"
    message: str = "The provider failed."
    charged: bool = False

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        failure = Failure(self.code, self.message, charged=self.charged)
        return replace(fate, failure=failure, failure_after_s=self.after_s)


class Stuck(_OfResults):
    """The result is processed for ever."""

    fault: Literal["stuck"]

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        return replace(fate, stuck=True)


class Cost(_OfResults):
    """The result costs something else than the price says."""

    fault: Literal["cost"]
    cost_usd: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        return replace(fate, cost_usd=dollars(self.cost_usd))


class Nsfw(_OfResults):
    """The result says `NSFWContent: true`."""

    fault: Literal["nsfw"]

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        return replace(fate, nsfw=True)


class Expire(_OfResults):
    """The result's address expires; when that was noticed, a question gets a fresh one. See `fates.Expiry`."""

    fault: Literal["expire"]
    status: Literal[404, 410] = 404
    after_downloads: Annotated[int, Field(ge=0)] = 0
    addresses: PositiveInt = 1
    forget: bool = False

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        return replace(fate, expiry=Expiry(self.status, self.after_downloads, self.addresses, self.forget))


class Media(_OfResults):
    """The clip is written in another way. See `fates.Look`."""

    fault: Literal["media"]
    codec: Codec | None = None
    container: Literal["webm"] | None = None
    untagged: bool = False
    full_range: bool = False
    frame_rate: str | int | None = None
    variable_rate: bool = False
    frames: Annotated[int, Field(ge=1, le=4800)] | None = None
    timescale: Annotated[int, Field(ge=100, le=1_000_000)] | None = None
    hidden_frames: Annotated[int, Field(ge=0, le=100)] = 0
    sound_longer_s: Annotated[float, Field(ge=-10, le=60)] | None = None

    @field_validator("frame_rate")
    @classmethod
    def _is_a_rate(cls, rate: str | int | None) -> str | None:
        if rate is None:
            return None
        try:
            value = Fraction(rate)
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError("frames a second, such as 30 or '30000/1001'") from error
        if not 1 <= value <= 120:
            raise ValueError("1 to 120 frames a second")
        return str(value)

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        look = Look(
            codec=self.codec,
            container=self.container,
            untagged=self.untagged,
            full_range=self.full_range,
            rate=None if self.frame_rate is None else str(self.frame_rate),
            variable_rate=self.variable_rate,
            frames=self.frames,
            timescale=self.timescale,
            hidden_frames=self.hidden_frames,
            sound_longer_s=self.sound_longer_s,
        )
        return replace(fate, look=look)
