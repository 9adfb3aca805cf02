"""How long to wait before trying again."""

from __future__ import annotations

import asyncio
import random

__all__ = ["Pauses"]

_MOST_ASKED_S = 600.0


class Pauses:
    """Waits that double from try to try, jittered so that many who wait do not come back together.

    Args:
        scale: Every wait is multiplied by it; waits that the provider asks for included. The seam for tests.
        random_source: Makes the jitter.
    """

    def __init__(self, *, scale: float = 1.0, random_source: random.Random | None = None) -> None:
        self._scale = scale
        self._random = random_source or random.Random()  # noqa: S311 -- jitter, not a secret

    def backoff_s(self, turn: int, *, first_s: float, most_s: float, asked_s: float | None = None) -> float:
        """Seconds to wait before the `turn`-th try, counted from 1: what the provider asked for, or the rule.

        Nobody is waited for longer than ten minutes at once, whatever was asked. What was asked for is never cut
        short, and a little is added, so that those who were all told the same do not come back together.
        """
        # 2.0**1024 is no float.
        rule_s = min(most_s, first_s * 2.0 ** min(turn - 1, 60)) * self._random.uniform(0.5, 1.0)
        if asked_s:
            rule_s = min(asked_s, _MOST_ASKED_S) * self._random.uniform(1.0, 1.1)
        return rule_s * self._scale

    def jittered_s(self, seconds: float) -> float:
        """About so many seconds."""
        return seconds * self._random.uniform(0.85, 1.15) * self._scale

    async def backoff(self, turn: int, *, first_s: float, most_s: float, asked_s: float | None = None) -> None:
        """Wait as `backoff_s` says."""
        await asyncio.sleep(self.backoff_s(turn, first_s=first_s, most_s=most_s, asked_s=asked_s))
