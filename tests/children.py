"""The processes that this one has started, as Linux tells of them, threads and processes ending meanwhile."""

from __future__ import annotations

from pathlib import Path

__all__ = ["pids_of_children", "told_of"]


def pids_of_children() -> list[str]:
    """Those that run now, whichever thread has started them."""
    return [pid for thread in Path("/proc/self/task").iterdir() for pid in _text(thread / "children").split()]


def told_of(pid: str, what: str) -> str:
    """What Linux tells of a process (`cmdline`, `smaps_rollup`); empty of one that has ended since."""
    return _text(Path("/proc") / pid / what)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended since
        return ""
