"""Every format shows the same frames of the same clips as the film, dissolve for dissolve, at every rate."""

from __future__ import annotations

from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import given, settings

from tasks.publish.editing.edl import edl
from tasks.publish.editing.fcp7 import fcp7_xml
from tasks.publish.editing.fcpxml import fcpxml
from tasks.publish.editing.timeline import timeline_of
from tests.publish.editing.films import Film, films
from tests.publish.editing.reading import (
    connected_by_fcpxml,
    heard_by_film,
    heard_by_tracks,
    shown_as_cuts,
    shown_by_edl,
    shown_by_fcpxml,
    shown_by_film,
    shown_by_track,
    sounds_of_film,
    without_short_dissolves,
)

# Films take longer to plan where other tests run beside these.
quick = settings(deadline=None, max_examples=50)


@quick
@given(films())
def test_opentimelineio_shows_the_films_frames(film: Film) -> None:
    timeline = timeline_of(film.edit())

    again = otio.adapters.read_from_string(timeline.to_json_string(), "otio_json")

    assert shown_by_track(again.tracks[0], film.plan.rate) == shown_by_film(film)
    assert again.is_equivalent_to(timeline)


@quick
@given(films(mixed=True))
def test_it_does_where_clips_have_rates_of_their_own(film: Film) -> None:
    timeline = timeline_of(film.edit())

    assert shown_by_track(timeline.tracks[0], film.plan.rate) == shown_by_film(film)


@quick
@given(films())
def test_final_cut_pro_7_shows_the_films_frames(film: Film) -> None:
    text, _ = fcp7_xml(film.edit())

    again = otio.adapters.read_from_string(text, "fcp_xml")

    expected = without_short_dissolves(film, shown_by_film(film))
    assert shown_by_track(again.tracks[0], film.plan.rate) == expected


@quick
@given(films(mixed=True))
def test_final_cut_pro_shows_the_films_frames(film: Film) -> None:
    text, losses = fcpxml(film.edit())

    assert shown_by_fcpxml(text) == shown_by_film(film)
    assert losses == []


@quick
@given(films())
def test_a_decision_list_shows_the_films_frames(film: Film) -> None:
    text, losses = edl(film.edit())

    assert shown_by_edl(text, film.plan.rate) == shown_by_film(film)
    assert [loss for loss in losses if not loss.startswith("the fade of one frame into ")] == []


@quick
@given(films(fades=False))
def test_opentimelineio_reads_the_same_from_a_decision_list(film: Film) -> None:
    text, _ = edl(film.edit())

    again = otio.adapters.read_from_string(text, "cmx_3600", rate=float(film.plan.rate))

    assert shown_by_track(again.tracks[0], film.plan.rate) == shown_by_film(film)


@quick
@given(films(fps=["24"]))
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
def test_opentimelineio_reads_final_cut_pros_cuts(film: Film) -> None:
    """It knows no transitions there, and counts at whole rates alone."""
    text, _ = fcpxml(film.edit())

    again = otio.adapters.read_from_string(text, "fcpx_xml")[0]

    pictures = next(track for track in again.tracks if track.name == "0")
    assert shown_by_track(pictures, film.plan.rate) == shown_as_cuts(film)


@quick
@given(films(sounds=True))
def test_every_sound_is_heard_when_it_is_in_the_film(film: Film) -> None:
    timeline = timeline_of(film.edit())

    assert heard_by_tracks(timeline.tracks[1:], film) == heard_by_film(film)


@quick
@given(films(sounds=True))
def test_so_it_is_in_final_cut_pro_7(film: Film) -> None:
    text, _ = fcp7_xml(film.edit())

    again = otio.adapters.read_from_string(text, "fcp_xml")

    assert heard_by_tracks(again.tracks[1:], film) == heard_by_film(film, cut_short=True)


@quick
@given(films(sounds=True, mixed=True))
def test_so_it_is_in_final_cut_pro(film: Film) -> None:
    text, _ = fcpxml(film.edit())

    found = connected_by_fcpxml(text)

    # Sound does not reach beyond its media, which need not end with a frame.
    rate = film.plan.rate
    expected = [(name, begin / rate, min(count / rate, long_s)) for name, begin, count, long_s in sounds_of_film(film)]
    assert sorted(sound[:3] for sound in found) == sorted(expected)
    ends: dict[int, Fraction] = {}
    for _, begin_s, length_s, lane in sorted(found, key=lambda sound: sound[1]):
        assert lane < 0
        assert ends.get(lane, Fraction(0)) <= begin_s
        ends[lane] = begin_s + length_s
