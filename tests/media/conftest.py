from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.barclips import bar_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """121 frames at 24 a second, B-frames, one keyframe, bt709, silent."""
    return bar_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="session")
def loud_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with sound as long as the pictures and a click at 2 s."""
    path = tmp_path_factory.mktemp("clips") / "loud.mp4"
    return bar_clip(path, sound_s=121 / 24, clicks_s=[2.0])
