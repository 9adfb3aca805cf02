"""Which packets of a clip can be copied when its last frames are left out. Pure arithmetic on orders.

Packets come in the order in which they are decoded. A packet needs none that come after it, so the first n of a
clip can be copied alone; where they happen to be the first n frames that are shown, nothing is missing among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.sequence.timeline import Cut

__all__ = ["copyable", "frames_ahead", "kept_frames", "shown_order"]


def kept_frames(cut: Cut, later: Cut | None) -> int:
    """How many frames a film shows of `cut`'s clip, from its first one on, when `later` follows.

    Two clips that share a frame show it once, and a clip's first frame cannot be left out by copying, since all
    others lean on it. So it is the earlier clip's last frame that goes here, where elsewhere the later's first
    does. Both are the same picture, and every other frame stands where it would stand there.
    """
    return cut.stop - (1 if later is not None and later.start == 1 else 0)


def shown_order(pts: Sequence[int]) -> tuple[int, ...]:
    """For each packet, which frame of the clip it is, in the order in which frames are shown."""
    ranks = [0] * len(pts)
    for rank, place in enumerate(sorted(range(len(pts)), key=pts.__getitem__)):
        ranks[place] = rank
    return tuple(ranks)


def copyable(shown: Sequence[int], kept: int) -> int:
    """How many of a clip's first packets are also its first frames, no more of them than `kept`.

    Args:
        shown: As `shown_order` gives it.
        kept: Frames wanted, from the first one shown.
    """
    most = last = 0
    for count, rank in enumerate(shown, 1):
        last = max(last, rank)
        if count <= kept and last == count - 1:
            most = count
    return most


def frames_ahead(shown: Iterable[int]) -> int:
    """How many frames before it is shown a frame has to be decoded, so that all are in time."""
    return max((place - rank for place, rank in enumerate(shown)), default=0)
