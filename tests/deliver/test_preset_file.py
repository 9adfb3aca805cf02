"""The file of presets: what ships, what one's own adds, and every mistake with its line."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import CODECS, Codec, Container, Size
from tasks.errors import SettingsError
from tasks.storyboard.model import Fit


def test_every_container_and_codec_that_there_is_ships() -> None:
    shipped = read_presets()

    pairs = {(preset.container, preset.codec) for preset in shipped.values()}
    assert {container for container, _ in pairs} == set(Container)
    assert {codec for _, codec in pairs} == set(Codec)
    assert all(codec in CODECS[container] for container, codec in pairs)
    assert {preset.size.fit for preset in shipped.values() if preset.size} == set(Fit)
    assert all(name == preset.name for name, preset in shipped.items())


def test_ones_own_are_added_to_those_that_ship(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        """
        sizes:
          banner: {width: 1500, height: 500, fit: blur}
        presets:
          banner: {container: webm, size: banner, fps: 23.976}
          story: {container: mp4, codec: av1, quality: 28, size: vertical-1080x1920, fit: fill, first_s: 15}
          gif: {container: gif, max_width: 320}
        """,
        encoding="utf-8",
    )

    presets = read_presets(file)

    assert set(presets) == {*read_presets(), "banner", "story"}
    banner, story = presets["banner"], presets["story"]
    assert (banner.codec, banner.size, banner.rate) == (Codec.VP9, Size(1500, 500, Fit.BLUR), Fraction(24000, 1001))
    assert (story.quality, story.size, story.first_s) == (28, Size(1080, 1920, Fit.FILL), Decimal(15))
    assert (presets["gif"].max_width, presets["gif"].rate) == (320, None)
    assert read_presets()["gif"].max_width == 480


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "presets:\n", "sizes: {}\n"])
def test_a_file_without_presets_adds_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")

    assert read_presets(file) == read_presets()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("presets:\n  a: {container: mpg}", 2, "presets.a: container cannot be 'mpg'"),
        ("presets:\n  a:\n    container: mp4\n    codec: vp9", 2, "presets.a: mp4 holds no vp9, but h264, h265, av1"),
        ("presets:\n  a:\n    container: mp4\n    codec: h246", 4, "presets.a: codec cannot be 'h246'"),
        ("presets:\n  a: {codec: h264}", 2, "presets.a: there is no 'container'"),
        ("presets:\n  a:\n    container: mp4\n    qualty: 3", 4, r"no key 'qualty' here \(did you mean 'quality'\?\)"),
        ("presets:\n  a: {container: mp4, quality: 52}", 2, "h264 has a quality of 0 to 51, so it cannot be 52"),
        ("presets:\n  a: {container: mov, quality: 5}", 2, "prores has no quality"),
        ("presets:\n  a: {container: mp4, profile: hq}", 2, "no profile 'hq' of h264"),
        ("presets:\n  a: {container: mov, profile: xq}", 2, "no profile 'xq' of prores; prores has proxy, lt"),
        ("presets:\n  a: {container: mp4, size: squre-1080}", 2, r"no size 'squre-1080' \(did you mean 'square-1080'"),
        ("presets:\n  a: {container: mp4, fit: fill}", 2, "'fit' says how a film comes to a size, and there is no"),
        ("presets:\n  a: {container: gif, size: square-1080, max_width: 64}", 2, "exclude each other"),
        ("presets:\n  a: {container: gif, fps: 0}", 2, "fps: input should be greater than or equal to 1"),
        ("presets:\n  a: {container: gif, fps: 60}", 2, "a gif shows at most 50 frames a second"),
        ("presets:\n  a: {container: gif, max_width: 62}", 2, "max_width: input should be greater than or equal to 64"),
        ("presets:\n  a: {container: gif, first_s: 0}", 2, "first_s: input should be greater than 0"),
        ("presets:\n  A: {container: gif}", 2, "'A' cannot be a name"),
        ("presets:\n  a/b: {container: gif}", 2, "'a/b' cannot be a name"),
        ("presets:\n  a..b: {container: gif}", 2, r"'a\.\.b' cannot be a name"),
        ("presets:\n  a: 3", 2, "'a' is not keys with values"),
        ("presets: []", 1, "'presets' is not keys with values"),
        ("sizes:\n  a: {width: 101, height: 100}", 2, "width: input should be a multiple of 2"),
        ("sizes:\n  a: {width: 100}", 2, "there is no 'height'"),
        ("preset: {}", 1, r"there is no key 'preset' here \(did you mean 'presets'\?\)"),
        ("- a", 1, "this is not a file of presets"),
        ("presets:\n  a: {container: gif}\n  a: {container: gif}", 3, "'a'"),
        ("presets: {", 1, "not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=said) as caught:
        read_presets(file)
    assert (caught.value.file, caught.value.exit_code) == (str(file), 2)
    assert caught.value.line == line


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("presets:\n  a: {container: mpg}\n  b: {}\n", encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        read_presets(file)
    assert f"{file}:2: " in str(caught.value)
    assert f"{file}:3: presets.b: there is no 'container'" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the presets cannot be read: No such file"):
        read_presets(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"presets: \xe4")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_presets(tmp_path / "latin.yaml")
