"""Days, weeks and months begin where their time zone says, whatever its clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger.periods import Period, Span, span_at, zone

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # the clocks skipped midnight there
    "America/Havana",  # midnight comes twice
    "Asia/Beirut",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",
    "Pacific/Apia",  # skipped 30 December 2011
    "Pacific/Kiritimati",
]
moments = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001
recurring = st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "timezone", "moment", "since", "until"),
    [
        (Period.DAY, "UTC", "2026-11-24T00:00", "2026-11-24T00:00", "2026-11-25T00:00"),
        (Period.DAY, "UTC", "2026-11-24T23:59:59.999999", "2026-11-24T00:00", "2026-11-25T00:00"),
        (Period.DAY, "Europe/Berlin", "2026-11-24T23:30", "2026-11-24T23:00", "2026-11-25T23:00"),
        # The day on which the clocks go forward has 23 hours, the one on which they go back 25.
        (Period.DAY, "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        (Period.DAY, "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        # Where the clocks skip midnight, the day begins at one.
        (Period.DAY, "America/Sao_Paulo", "2018-11-04T15:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        # Weeks begin on Monday: Sunday the 29th is of the week before.
        (Period.WEEK, "UTC", "2026-11-29T23:59", "2026-11-23T00:00", "2026-11-30T00:00"),
        (Period.WEEK, "UTC", "2026-11-30T00:00", "2026-11-30T00:00", "2026-12-07T00:00"),
        (Period.WEEK, "America/New_York", "2026-03-08T12:00", "2026-03-02T05:00", "2026-03-09T04:00"),
        (Period.MONTH, "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        (Period.MONTH, "Asia/Tokyo", "2026-11-30T15:00", "2026-11-30T15:00", "2026-12-31T15:00"),
        (Period.MONTH, "Europe/Berlin", "2026-12-31T22:59", "2026-11-30T23:00", "2026-12-31T23:00"),
    ],
)
def test_a_moment_lies_in(*, period: Period, timezone: str, moment: str, since: str, until: str) -> None:
    assert span_at(period, timezone, utc(moment)) == Span(utc(since), utc(until))


@given(period=recurring, timezone=st.sampled_from(ZONES), moment=moments)
def test_periods_follow_one_another_without_gap_or_overlap(period: Period, timezone: str, moment: datetime) -> None:
    span = span_at(period, timezone, moment)
    assert span.since is not None
    assert span.until is not None
    assert span.since <= moment < span.until
    assert span_at(period, timezone, span.since) == span
    assert span_at(period, timezone, span.until).since == span.until
    assert span_at(period, timezone, span.since - timedelta(microseconds=1)).until == span.since


@given(period=recurring, timezone=st.sampled_from(ZONES), moment=moments, hours=st.integers(-14, 14))
def test_it_does_not_matter_how_the_moment_is_told(period: Period, timezone: str, moment: datetime, hours: int) -> None:
    elsewhere = moment.astimezone(ZoneInfo(f"Etc/GMT{hours:+d}" if abs(hours) < 13 else "Pacific/Apia"))
    assert span_at(period, timezone, elsewhere) == span_at(period, timezone, moment)


def test_forever_has_no_ends() -> None:
    assert span_at(Period.FOREVER, "Europe/Berlin", utc("2026-11-24T12:00")) == Span(None, None)


@pytest.mark.parametrize("name", ["", "Europe/Bielefeld", "CEST now", "../../etc/passwd", "Europe", "\x00"])
def test_a_zone_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone(name)
