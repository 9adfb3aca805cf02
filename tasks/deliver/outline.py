"""What a preset makes of one film: size, rate, and how many frames. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from tasks.deliver.presets import FASTEST_GIF, Container, Preset
from tasks.plan.lengths import film_frames
from tasks.rounding import milliseconds
from tasks.sequence.encoding import fitted_size
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at
from tasks.sequence.verify import FilmFacts
from tasks.storyboard.model import Fit

__all__ = ["Outline", "outline_of"]


@dataclass(frozen=True, slots=True)
class Outline:
    """A deliverable before it is made.

    It shows the first `shown_frames` frames of the film, as `frames` frames in `layout`, which has its own size and
    rate. `samples` is how long its sound is, at 48 kHz, where it has any.
    """

    layout: FilmLayout
    fit: Fit
    shown_frames: int
    frames: int
    samples: int
    is_cut: bool
    is_resampled: bool

    @property
    def duration_s(self) -> Decimal:
        """Of the pictures, in whole milliseconds."""
        return milliseconds(self.exact_s)

    @property
    def sound_s(self) -> Fraction:
        """Of the sound, and of what is shown of the film at the film's own rate."""
        return Fraction(self.samples, SAMPLE_RATE)

    @property
    def exact_s(self) -> Fraction:
        """Of the pictures."""
        return self.frames / self.layout.rate


def outline_of(film: FilmFacts, preset: Preset) -> Outline:
    """What a preset makes of a film."""
    own = FilmLayout(film.width, film.height, film.rate)
    width, height, fit = film.width, film.height, Fit.FIT
    if preset.size is not None:
        width, height, fit = preset.size.width, preset.size.height, preset.size.fit
    elif preset.max_width is not None and preset.max_width < film.width:
        # Any height will do, so it is the width that decides.
        width, height = fitted_size(film.width, film.height, FilmLayout(preset.max_width, 2 * film.height, film.rate))
    rate = preset.rate or film.rate
    if preset.container is Container.GIF:
        rate = min(rate, Fraction(FASTEST_GIF))
    shown = film.frames
    if preset.first_s is not None:
        shown = min(shown, ceil(Fraction(preset.first_s) * film.rate))
    return Outline(
        layout=FilmLayout(width, height, rate),
        fit=fit,
        shown_frames=shown,
        frames=shown if rate == own.rate else film_frames(shown, film.rate, rate),
        samples=sample_at(shown, film.rate),
        is_cut=shown < film.frames,
        is_resampled=rate != own.rate,
    )
