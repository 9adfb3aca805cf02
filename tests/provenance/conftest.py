"""A small film with pictures, sound and captions, and a root with a certificate, once for all tests of a module."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.media.ffmpeg import binary
from tasks.provenance.credits import Credits, Ingredient
from tests.media.barclips import bar_clip
from tests.provenance.certificates import Root

CAPTIONS = "1\n00:00:00,000 --> 00:00:00,500\nDawn\n"


@pytest.fixture(scope="session")
def root() -> Root:
    return Root()


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that nobody has marked: its index before its pictures, with sound and a track of captions."""
    folder = tmp_path_factory.mktemp("master")
    pictures, words, film = folder / "pictures.mp4", folder / "words.srt", folder / "film.mp4"
    bar_clip(pictures, frames=24)
    words.write_text(CAPTIONS)
    made = [
        "-i",
        str(pictures),
        "-f",
        "lavfi",
        "-i",
        "sine=d=1:r=48000",
        "-i",
        str(words),
        "-map",
        "0:v",
        "-map",
        "1:a",
    ]
    coded = ["-map", "2", "-c:v", "copy", "-c:a", "aac", "-c:s", "mov_text", "-movflags", "+faststart", str(film)]
    subprocess.run([binary(), "-v", "error", *made, *coded], check=True)
    return film


@pytest.fixture
def film(master: Path, tmp_path: Path) -> Path:
    """A copy of it, to be marked."""
    return Path(shutil.copy(master, tmp_path / "film.mp4"))


@pytest.fixture(scope="session")
def shown(master: Path) -> Credits:
    """What is said of it: two clips, each the film itself."""
    clips = (Ingredient("lake", master, "a" * 64), Ingredient("hill, town", master, "b" * 64))
    return Credits("Dawn & <dusk>", "klingai:kling@o1-standard", "runware", (), clips)
