"""Burned captions stand in the safe title area, can be read on any picture, and never show a box for a letter."""

from __future__ import annotations

import unicodedata
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont, features

from tasks.errors import BadInput
from tasks.sequence.burn import check_caption, draw_caption
from tasks.sequence.letters import face_of, missing_glyphs
from tasks.sequence.timeline import FilmLayout
from tests.sequence.conftest import names

SIZES = [(1280, 720), (720, 1280), (960, 960), (1920, 1080), (426, 240), (64, 36)]
SHORT = "The tram climbs."
LONG = "The tram climbs out of the canyon, and the harbour lies below, far away, in the evening light. " * 2
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
needs_dejavu = pytest.mark.skipif(not DEJAVU.exists(), reason="DejaVu is not installed: apt-get install fonts-dejavu")

Pixels = npt.NDArray[np.int64]


def film(width: int, height: int) -> FilmLayout:
    return FilmLayout(width, height, Fraction(24))


def drawn(folder: Path, text: str, layout: FilmLayout, font: Path | None = None) -> Image.Image:
    draw_caption(text, layout, folder / "caption.png", font)
    with Image.open(folder / "caption.png") as image:
        image.load()
        assert (image.mode, image.size) == ("RGBA", (layout.width, layout.height))
        return image


def box_of(image: Image.Image) -> tuple[int, int, int, int]:
    box = image.getbbox()
    assert box is not None
    return box


def over(image: Image.Image, ground: Image.Image) -> Pixels:
    """The luma of a caption's box, over a picture."""
    ground = ground.convert("RGBA")
    ground.alpha_composite(image)
    return np.asarray(ground.convert("L").crop(box_of(image))).astype(np.int64)


@pytest.fixture
def built_in(tmp_path: Path) -> Path:
    """The built-in font as a file."""
    path = tmp_path / "a font's name.ttf"
    path.write_bytes(Path(str(face_of(None, 10).path)).read_bytes())
    return path


@pytest.fixture
def small_font(tmp_path: Path) -> Path:
    """A font that has little more than ASCII, as a file."""
    font = ImageFont.load_default(10)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert isinstance(font.path, BytesIO)
    path = tmp_path / "little.ttf"
    path.write_bytes(font.path.getvalue())
    return path


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("text", [SHORT, "gypsy (quay), [jay]\n|", LONG[:40]])
def test_it_stands_at_the_foot_inside_the_safe_title_area(tmp_path: Path, text: str, width: int, height: int) -> None:
    left, top, right, bottom = box_of(drawn(tmp_path, text, film(width, height)))

    assert left >= round(0.05 * width)
    assert right <= width - round(0.05 * width)
    assert top >= round(0.05 * height)
    assert height - round(0.05 * height) - max(3, min(width, height) // 30) <= bottom <= height - round(0.05 * height)
    assert abs(left + right - width) <= max(4, width // 100)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_can_be_read_on_any_picture(tmp_path: Path, width: int, height: int) -> None:
    image = drawn(tmp_path, SHORT, film(width, height))
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    for name, ground in {
        "white": Image.new("RGB", image.size, (255, 255, 255)),
        "black": Image.new("RGB", image.size, (0, 0, 0)),
        "grey": Image.new("RGB", image.size, (128, 128, 128)),
        "noise": Image.fromarray(noise),
    }.items():
        luma = over(image, ground)
        is_tiny = height < 100
        assert np.percentile(luma, 97) >= (100 if is_tiny else 250), name
        assert np.percentile(luma, 3) <= 20, name
        assert luma.std() > (35 if is_tiny else 70), name


def test_all_white_is_parted_from_the_ground_by_black(tmp_path: Path) -> None:
    image = drawn(tmp_path, "ijl. OQ", film(1280, 720))
    red, green, blue, alpha = (np.asarray(channel).astype(np.int64) for channel in image.split())

    assert (red == green).all()
    assert (green == blue).all()
    ground_nearby = alpha == 0
    for _ in range(2):
        spread = ground_nearby.copy()
        for axis in (0, 1):
            spread |= np.roll(ground_nearby, 1, axis) | np.roll(ground_nearby, -1, axis)
        ground_nearby = spread
    assert (red[ground_nearby] == 0).all()


def test_letters_are_an_eighteenth_of_the_shorter_side_until_there_are_too_many(tmp_path: Path) -> None:
    heights = {}
    for width, height in [(1280, 720), (720, 1280), (640, 360)]:
        _, top, _, bottom = box_of(drawn(tmp_path, "Hx", film(width, height)))
        heights[width, height] = bottom - top

    assert heights[1280, 720] == heights[720, 1280]
    assert abs(heights[1280, 720] - 2 * heights[640, 360]) <= 2
    # A capital has about seven tenths of the height of its font, and its outline on both sides.
    assert abs(heights[1280, 720] - (40 * 0.72 + 2 * 4)) <= 4

    _, top, _, bottom = box_of(drawn(tmp_path, LONG, film(1280, 720)))
    assert bottom - top < 3 * 1.25 * 32
    assert bottom <= 720 - 36


@pytest.mark.parametrize(("width", "height"), [(64, 36), (16, 16), (2, 2)])
def test_what_is_too_long_is_refused_before_anything_is_drawn(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(BadInput, match=f"too long to be drawn into {width}x{height} pixels") as caught:
        check_caption(LONG, film(width, height), shot="harbor")
    assert caught.value.shot == "harbor"
    with pytest.raises(BadInput, match="too long"):
        draw_caption(LONG, film(width, height), tmp_path / "caption.png")

    assert names(tmp_path) == []
    check_caption(LONG, film(320, 180))


def test_a_whole_book_is_refused_at_once() -> None:
    with pytest.raises(BadInput, match="800000 characters"):
        check_caption("chapter " * 100_000, film(1280, 720))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, whitelist_characters="\n"), max_size=300))
def test_any_text_is_in_the_safe_area_or_refused(tmp_path: Path, text: str) -> None:
    layout = film(160, 90)
    try:
        check_caption(text, layout)
    except BadInput:
        with pytest.raises(BadInput):
            draw_caption(text, layout, tmp_path / "refused.png")
        assert not (tmp_path / "refused.png").exists()
        return
    box = drawn(tmp_path, text, layout).getbbox()
    if text.strip():
        assert box is not None
        assert box[0] >= 8 - 1
        assert box[1] >= 4
        assert box[2] <= 152 + 1
        assert box[3] <= 86
    else:
        assert box is None


# -- fonts -----------------------------------------------------------------------------------------------------------


def test_the_built_in_font_has_the_letters_of_europe() -> None:
    for text in (
        "Où ça ? À Besançon – « déjà-vu »… 20 €",
        "¡Señor! ¿Qué?",
        "Größe, Übel, ÆØÅ æøå œ",
        "Żółw ěščřž őű ğışİ",
    ):
        assert missing_glyphs(text) == ""
    for text in ("Ωκεανός", "ночь, объект, Київ", "Tiếng Việt: ạảấầẩẫậ", "10 × 20 ± 5° → ½ © ™ • “So” – so — ‘so’…"):
        assert missing_glyphs(text) == ""


def test_the_built_in_font_has_what_a_keyboard_has() -> None:
    assert missing_glyphs("".join(map(chr, range(32, 127)))) == ""
    assert missing_glyphs("‘Quoted’ “twice” … ·\n\t\u00a0\u2009\u200d\u200e\ufe0f\u00ad") == ""


def test_what_a_font_lacks_is_named_once_in_order(small_font: Path) -> None:
    text = "Żółw é ночь é😀"

    assert missing_glyphs(text, small_font) == "Żółéночь😀"
    assert missing_glyphs(text) == "😀"
    # With an accent of its own, an e is the same letter.
    assert missing_glyphs("e\u0301", small_font) == "é"
    assert missing_glyphs("e\u0301") == ""


def test_a_caption_in_other_letters_says_what_to_do(tmp_path: Path, small_font: Path) -> None:
    with pytest.raises(BadInput, match=r"^(?s:.)*the built-in font has no '夜明'.*\n.*--caption-font PATH") as caught:
        check_caption("夜明, très 夜", film(320, 180), shot="a")
    assert caught.value.shot == "a"
    with pytest.raises(BadInput, match=r"the font little\.ttf has no 'é'"):
        draw_caption("été", film(320, 180), tmp_path / "caption.png", small_font)
    with pytest.raises(BadInput, match=r"has no '.{20}…'"):
        check_caption("".join(map(chr, range(0x4E00, 0x4E40))), film(320, 180))
    assert not (tmp_path / "caption.png").exists()


def test_a_font_of_ones_own_is_used(tmp_path: Path, built_in: Path) -> None:
    # The built-in one, given as a file, is laid out by another engine, which places letters in parts of a pixel.
    own, default = (box_of(drawn(tmp_path, "HHH", film(320, 180), font)) for font in (built_in, None))
    assert all(abs(one - other) <= 1 for one, other in zip(own, default, strict=True))


@needs_dejavu
@pytest.mark.parametrize("text", ["Żółw · été – ночь 😀", "e\u0301 10\u00a0€", "שלום, עולם", "مرحبا بالعالم"])
def test_other_alphabets_are_drawn_by_a_font_that_has_them(tmp_path: Path, text: str) -> None:
    if not features.check("raqm") and not text.isascii():
        pytest.skip("FriBiDi is not installed: apt-get install libfribidi0")
    assert missing_glyphs(text, DEJAVU) == ""

    left, _, right, _ = box_of(drawn(tmp_path, text, film(640, 360), DEJAVU))

    assert right - left > 60


@needs_dejavu
def test_right_to_left_is_laid_out_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not features.check("raqm"):
        pytest.skip("FriBiDi is not installed: apt-get install libfribidi0")
    # Aleph, bet: bet is to the left of it, as it is where the two are given in the order of drawing.
    read = drawn(tmp_path, "אב", film(640, 360), DEJAVU)
    as_drawn = drawn(tmp_path, "\u202dבא\u202c", film(640, 360), DEJAVU)
    assert read.tobytes() == as_drawn.tobytes()

    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(BadInput, match="right to left"):
        check_caption("אב", film(640, 360), DEJAVU)
    check_caption("été", film(640, 360), DEJAVU)


@pytest.mark.parametrize("content", [None, b"", b"no font at all", b"\x00\x01\x00\x00" + bytes(40)])
def test_what_is_no_font_is_refused(tmp_path: Path, content: bytes | None) -> None:
    font = tmp_path / "broken.ttf"
    if content is not None:
        font.write_bytes(content)

    with pytest.raises(BadInput, match="this font cannot be used") as caught:
        check_caption(SHORT, film(320, 180), font)
    assert caught.value.file == str(font)
    assert "TrueType or OpenType" in str(caught.value)


def test_accents_that_stand_by_themselves_are_put_on_their_letters(tmp_path: Path) -> None:
    # As file names of a Mac have them. Only what is no one letter has to be laid out.
    apart = unicodedata.normalize("NFD", "Été à Zürich™")
    assert apart != "Été à Zürich™"

    read, as_one = drawn(tmp_path, apart, film(640, 360)), drawn(tmp_path, "Été à Zürich™", film(640, 360))

    assert read.tobytes() == as_one.tobytes()
    with pytest.raises(BadInput, match="--caption-font PATH"):
        check_caption("q\u0301", film(640, 360))
