"""Deliverables are chosen by name, and refused before anything is paid where they cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.deliver.choice import check_signable, chosen_presets
from tasks.deliver.codecs import CODINGS, encoders_of
from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import Codec
from tasks.errors import SettingsError
from tasks.media.ffmpeg import binary, encoders
from tasks.settings import Finish, Signing


def test_each_once_in_the_order_in_which_they_are_named() -> None:
    chosen = chosen_presets(Finish(deliver=("gif", "h264", "gif")))

    assert [preset.name for preset in chosen] == ["gif", "h264"]
    assert chosen_presets(Finish()) == ()


def test_nothing_is_read_where_nothing_is_asked_for(tmp_path: Path) -> None:
    assert chosen_presets(Finish(deliverables=str(tmp_path / "none.yaml"))) == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [("prorse", r"no deliverable 'prorse' \(did you mean 'prores'\?\)"), ("film", "no deliverable 'film'"), ("", "''")],
)
def test_a_name_that_is_none(name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        chosen_presets(Finish(deliver=(name,)))
    assert "Accepted: h264, h265, av1, prores" in str(caught.value)


def test_the_ffmpeg_that_comes_along_makes_all_of_them() -> None:
    assert set(CODINGS) == set(Codec)
    wanted = {encoder for preset in read_presets().values() for encoder in encoders_of(preset)}
    assert wanted <= encoders()


def test_an_ffmpeg_that_lacks_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\n"{binary()}" "$@" | grep -v libopus\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))

    chosen_presets(Finish(deliver=("h264", "prores")))
    with pytest.raises(SettingsError, match=r"'webm-av1' cannot be delivered: .* built without libopus"):
        chosen_presets(Finish(deliver=("h264", "webm-av1")))


def test_what_cannot_be_signed_is_refused_where_signing_is_required() -> None:
    check_signable(chosen_presets(Finish(deliver=("h264", "gif"))), Signing(sign="required"))
    check_signable(chosen_presets(Finish(deliver=("webm-vp9",))), Signing(sign="auto"))
    with pytest.raises(SettingsError, match="'webm-vp9' cannot be signed"):
        check_signable(chosen_presets(Finish(deliver=("h264", "webm-vp9"))), Signing(sign="required"))
