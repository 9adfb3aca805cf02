"""The stretch of time that a budget is for: a day, a week from Monday, a month, or forever, in a named time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Period", "Span", "span_at", "zone"]


class Period(StrEnum):
    """How long a budget lasts before it is full again."""

    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"
    FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until just before `until`, both in UTC; both `None` for forever."""

    since: datetime | None = None
    until: datetime | None = None


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name such as `Europe/Berlin`.

    Raises:
        ValueError: There is none of this name.
    """
    if name == "UTC":
        return UTC  # needs no database of time zones
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone '{name}'") from error


def span_at(period: Period, timezone: str, moment: datetime) -> Span:
    """The day, week or month of `timezone` in which `moment` lies. A day may have 23 or 25 hours there.

    Raises:
        ValueError: There is no such time zone.
    """
    there = zone(timezone)
    today = moment.astimezone(there).date()
    match period:
        case Period.FOREVER:
            return Span()
        case Period.DAY:
            first, following = today, today + timedelta(days=1)
        case Period.WEEK:
            first = today - timedelta(days=today.weekday())
            following = first + timedelta(days=7)
        case Period.MONTH:
            first = today.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
    return Span(_begin(first, there), _begin(following, there))


def _begin(day: date, there: tzinfo) -> datetime:
    # Where the clocks skip midnight, the offset from before the skip leads to its very moment.
    return datetime.combine(day, time(), there).astimezone(UTC)
