"""How long to wait before a task is asked about again, learnt from how long the run's tasks took.

A pause is a share of the time that a task has been waited for, or of the time that its kind usually takes if that is
longer: a new task is not over sooner than those before it. As long as none is over, the one that is waited for
longest tells what is usual. In the span in which tasks usually end, questions come a little closer together.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Pace"]

_SHARE = 0.09
_SHARE_WHEN_EXPECTED = 0.06
_REMEMBERED = 20


class Pace:
    """What is known of how long tasks take; times are seconds since acceptance."""

    soonest_s = 0.25
    """No pause is shorter."""

    latest_s = 10.0
    """No pause is longer."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def learn(self, in_work_s: float, over_s: float) -> None:
        """Remember a task that succeeded: it was still in work at `in_work_s`, and over at `over_s`."""
        self._spans.append((in_work_s, over_s))

    def pause_s(self, waited_s: float, longest_s: float) -> float:
        """Seconds to the next question about a task.

        Args:
            waited_s: How long this task has been waited for.
            longest_s: How long the run has waited for the task for which it has waited longest.
        """
        usual_s = min((in_work_s for in_work_s, _ in self._spans), default=longest_s)
        share = _SHARE_WHEN_EXPECTED if self._is_expected(waited_s) else _SHARE
        return min(self.latest_s, max(self.soonest_s, share * max(waited_s, usual_s)))

    def _is_expected(self, waited_s: float) -> bool:
        if not self._spans:
            return False
        soonest_s = min(in_work_s for in_work_s, _ in self._spans)
        latest_s = max(over_s for _, over_s in self._spans)
        return 0.9 * soonest_s <= waited_s <= 1.1 * latest_s
