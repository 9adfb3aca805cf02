"""The transitions that a film may have: cut, dissolve, fade, and those that ffmpeg's `xfade` filter has names for.

Two of its names are left out. Its `fade` is what is a dissolve here, and in editing; its `dissolve` strews pixels. Nor
is there its `custom`, which takes an expression.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TransitionKind"]


class TransitionKind(StrEnum):
    """How the film goes over to a shot: at once, by dissolving, through black, or by one of xfade's transitions.

    All but a cut and a fade show both shots in the same frames.
    """

    CUT = "cut"
    DISSOLVE = "dissolve"
    FADE = "fade"
    WIPE_LEFT = "wipeleft"
    WIPE_RIGHT = "wiperight"
    WIPE_UP = "wipeup"
    WIPE_DOWN = "wipedown"
    WIPE_TOP_LEFT = "wipetl"
    WIPE_TOP_RIGHT = "wipetr"
    WIPE_BOTTOM_LEFT = "wipebl"
    WIPE_BOTTOM_RIGHT = "wipebr"
    SLIDE_LEFT = "slideleft"
    SLIDE_RIGHT = "slideright"
    SLIDE_UP = "slideup"
    SLIDE_DOWN = "slidedown"
    SMOOTH_LEFT = "smoothleft"
    SMOOTH_RIGHT = "smoothright"
    SMOOTH_UP = "smoothup"
    SMOOTH_DOWN = "smoothdown"
    COVER_LEFT = "coverleft"
    COVER_RIGHT = "coverright"
    COVER_UP = "coverup"
    COVER_DOWN = "coverdown"
    REVEAL_LEFT = "revealleft"
    REVEAL_RIGHT = "revealright"
    REVEAL_UP = "revealup"
    REVEAL_DOWN = "revealdown"
    CIRCLE_OPEN = "circleopen"
    CIRCLE_CLOSE = "circleclose"
    CIRCLE_CROP = "circlecrop"
    RECT_CROP = "rectcrop"
    VERT_OPEN = "vertopen"
    VERT_CLOSE = "vertclose"
    HORZ_OPEN = "horzopen"
    HORZ_CLOSE = "horzclose"
    DIAG_TOP_LEFT = "diagtl"
    DIAG_TOP_RIGHT = "diagtr"
    DIAG_BOTTOM_LEFT = "diagbl"
    DIAG_BOTTOM_RIGHT = "diagbr"
    SLICE_LEFT = "hlslice"
    SLICE_RIGHT = "hrslice"
    SLICE_UP = "vuslice"
    SLICE_DOWN = "vdslice"
    WIND_LEFT = "hlwind"
    WIND_RIGHT = "hrwind"
    WIND_UP = "vuwind"
    WIND_DOWN = "vdwind"
    SQUEEZE_H = "squeezeh"
    SQUEEZE_V = "squeezev"
    RADIAL = "radial"
    ZOOM_IN = "zoomin"
    PIXELIZE = "pixelize"
    BLUR = "hblur"
    DISTANCE = "distance"
    FADE_BLACK = "fadeblack"
    FADE_WHITE = "fadewhite"
    FADE_GRAYS = "fadegrays"
    FADE_FAST = "fadefast"
    FADE_SLOW = "fadeslow"

    @property
    def overlaps(self) -> bool:
        """Whether both shots are seen in its frames, so that the film is shorter by them."""
        return self not in {TransitionKind.CUT, TransitionKind.FADE}

    @property
    def is_named(self) -> bool:
        """Whether it is one of xfade's."""
        return self.overlaps and self is not TransitionKind.DISSOLVE
