"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SettingsError
from tasks.local_path import local_path


def test_a_tilde_is_a_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert local_path("~/films/heron.mp4") == tmp_path / "films" / "heron.mp4"
    assert local_path("films/~heron.mp4") == Path("films/~heron.mp4")


def test_a_user_who_is_not_here_is_told() -> None:
    with pytest.raises(SettingsError, match="names the home folder of a user who is not"):
        local_path("~nobody-of-that-name/a.mp4")
