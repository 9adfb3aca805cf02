"""What a model accepts and costs is a file; a file that does not hold together is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest

from tasks.errors import SettingsError, StoryboardError
from tasks.plan.catalog import Mode, input_formats, load_catalog
from tests.plan.boards import PRO, STANDARD, film, plan, problem

SHIPPED = (
    resources.files("configs").joinpath("models").joinpath("klingai-kling-o1-standard.yaml").read_text(encoding="utf-8")
)


@pytest.fixture
def with_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """A folder of models that holds the standard model, with one piece of its text replaced."""

    def write(old: str, new: str) -> Path:
        assert SHIPPED.count(old) >= 1
        (tmp_path / "model.yaml").write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
        return tmp_path

    return write


def refusal(folder: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_catalog(folder)
    return caught.value


def test_the_shipped_models() -> None:
    catalog = load_catalog()

    assert set(catalog) == {STANDARD, PRO}
    for spec in catalog.values():
        assert set(spec.modes) == set(Mode)
        assert spec.modes[Mode.TEXT].choices_s == (5, 10)
        assert spec.modes[Mode.FRAMES].choices_s == (5, 10)
        assert spec.modes[Mode.REFERENCE_IMAGES].choices_s == tuple(range(3, 11))
        assert spec.modes[Mode.EDIT].follows_source
        assert spec.modes[Mode.EDIT].choices_s == ()
        assert spec.frames.rate == Fraction(24)


def test_what_files_are_inputs_is_data_too(with_file: Callable[[str, str], Path]) -> None:
    assert input_formats()[STANDARD] == input_formats()[PRO] == {"image": ("JPEG", "PNG"), "video": ("MP4", "MOV")}

    other = input_formats(load_catalog(with_file("formats: [MP4, MOV]", "formats: [WEBM]")))
    assert other == {STANDARD: {"image": ("JPEG", "PNG"), "video": ("WEBM",)}}


def test_an_input_video_may_be_as_long_as_the_longest_clip_of_the_model(with_file: Callable[[str, str], Path]) -> None:
    assert load_catalog()[STANDARD].longest_video_s == Decimal("10.042")

    without = load_catalog(with_file("extra: 1", "extra: 0"))
    assert without[STANDARD].longest_video_s == Decimal(10)


@pytest.mark.parametrize(
    ("model", "mode", "price_usd"),
    [
        (STANDARD, Mode.TEXT, "0.42"),
        (STANDARD, Mode.FRAMES, "0.42"),
        (STANDARD, Mode.REFERENCE_IMAGES, "0.42"),
        (STANDARD, Mode.REFERENCE_VIDEOS, "0.63"),
        (STANDARD, Mode.EDIT, "0.63"),
        (PRO, Mode.TEXT, "0.56"),
        (PRO, Mode.REFERENCE_VIDEOS, "0.84"),
    ],
)
def test_prices_of_five_seconds(model: str, mode: Mode, price_usd: str) -> None:
    assert load_catalog()[model].price_usd(mode, Decimal(5)) == Decimal(price_usd)


def test_a_price_is_exact_to_the_micro_dollar_and_rounds_half_up() -> None:
    spec = load_catalog()[STANDARD]

    assert spec.price_usd(Mode.EDIT, Decimal("5.042")) == Decimal("0.635292")
    assert spec.price_usd(Mode.EDIT, Decimal("0.00125")) == Decimal("0.000158")  # 0.0001575


def test_another_model_is_another_file(with_file: Callable[[str, str], Path]) -> None:
    folder = with_file(f"id: {STANDARD}", "id: other:model@1")
    text = (folder / "model.yaml").read_text(encoding="utf-8")
    text = text.replace("sizes: [1280x720", "sizes: [640x360").replace(
        "rate: 24, extra: 1", 'rate: "30000/1001", extra: 0'
    )
    text = text.replace('T2V: "0.084"', 'T2V: "0.01"').replace("[5, 10]", "[4, 8]")
    (folder / "model.yaml").write_text(text, encoding="utf-8")

    planned = plan(
        film(
            "model: other:model@1\nsize: 640x360\nshots: [{id: one, prompt: A tram}, {id: two, prompt: A tree, duration: 4}]"
        ),
        catalog=load_catalog(folder),
    )

    assert [shot.generate_s for shot in planned.shots] == [8, 4]
    assert [shot.cost_usd for shot in planned.shots] == [Decimal("0.08"), Decimal("0.04")]
    assert planned.clip_rate == planned.rate == Fraction(30000, 1001)
    assert [shot.frames for shot in planned.shots] == [240, 120]


def test_a_shot_without_a_duration_is_never_trimmed(with_file: Callable[[str, str], Path]) -> None:
    catalog = load_catalog(with_file("durations_s: [5, 10]", "durations_s: [3, 4]"))

    (shot,) = plan("shots: [{id: one, prompt: A tram}]", catalog=catalog).shots

    assert (shot.duration_s, shot.generate_s, shot.last_kept) == (Decimal(4), Decimal(4), None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"0.084"', "0.084", "rates_usd_per_s.T2V: must be quoted, so that it stays an exact decimal"),
        ('"0.084"', '"-0.084"', "rates_usd_per_s.T2V"),
        ('"0.084"', '"much"', "rates_usd_per_s.T2V"),
        ("rate: 24", "rate: 23.976", "frames.rate: must be quoted"),
        ("rate: 24", "rate: 0", "frames.rate"),
        ("page:", "pages:", "pages: Extra inputs are not permitted"),
        ("page:", "pages:", "page: Field required"),
        ("rate: T2V", "rate: T3V", "modes.text.rate: no rate 'T3V' in rates_usd_per_s"),
        ("  text:", "  words:", "modes.words"),
        ("durations_s: [5, 10]", "durations_s: []", "modes.text.durations_s"),
        ("durations_s: [5, 10]", "durations_s: [0, 5]", "modes.text.durations_s"),
        ("durations_s: [5, 10]", "durations_s: often", "modes.text.durations_s"),
        ("durations_s: [5, 10]", "durations_s: source", "modes.text.durations_s: only an edit has a source"),
        ("{min: 3, max: 10}", "{min: 10, max: 3}", "min is 10, which is more than max, 3"),
        ("default_format: MP4", "default_format: AVI", "output.default_format: 'AVI' is none of its formats"),
        ("default_quality: 95", "default_quality: 100", "output.default_quality: 100 is not 20 to 99"),
        ("sizes: [1280x720", "sizes: [wide", "sizes.0"),
    ],
)
def test_a_file_that_does_not_describe_a_model(
    with_file: Callable[[str, str], Path], old: str, new: str, said: str
) -> None:
    folder = with_file(old, new)

    error = refusal(folder)

    assert said in error.message
    assert error.file == str(folder / "model.yaml")
    assert error.exit_code == 2


def test_a_file_that_is_not_yaml(with_file: Callable[[str, str], Path]) -> None:
    folder = with_file("name: Kling VIDEO O1 Standard", "name: [")

    error = refusal(folder)

    assert error.message.startswith("not YAML")
    assert error.file == str(folder / "model.yaml")
    assert error.line is not None


def test_a_list_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("- 1\n", encoding="utf-8")
    assert refusal(tmp_path).file == str(tmp_path / "model.yaml")


def test_bytes_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\xff\xfe\x00\x01")
    assert refusal(tmp_path).file == str(tmp_path / "model.yaml")


def test_two_files_cannot_describe_one_model(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(SHIPPED, encoding="utf-8")

    error = refusal(tmp_path)

    assert STANDARD in error.message
    assert error.file == str(tmp_path / "two.yaml")


def test_a_folder_without_models(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").file == str(tmp_path / "nowhere")


def test_an_unknown_model_is_told_at_its_line() -> None:
    found = problem("model: klingai:kling@o9\nshots: [{id: one, prompt: A tram}]")

    assert (found.line, found.key) == (13, "model")
    assert found.accepted == f"{PRO}, {STANDARD}"


def test_a_size_that_the_model_does_not_make() -> None:
    found = problem("size: 1920x1080\nshots: [{id: one, prompt: A tram}]")

    assert (found.line, found.key) == (13, "size")
    assert found.accepted == "1280x720, 960x960, 720x1280"


def test_the_usual_size_at_a_model_that_does_not_make_it() -> None:
    found = problem(f"model: {PRO}\nshots: [{{id: one, prompt: A tram}}]")

    assert (found.line, found.key) == (13, "size")
    assert found.accepted == "1920x1080, 1440x1440, 1080x1920"


def test_a_mode_that_the_model_does_not_have(with_file: Callable[[str, str], Path]) -> None:
    edit = SHIPPED[SHIPPED.index("  edit:") : SHIPPED.index("\noutput:")]
    folder = with_file(edit, "")
    board = film("shots:\n  - id: one\n    prompt: A tram\n    video: v\n")

    with pytest.raises(StoryboardError) as caught:
        plan(board, catalog=load_catalog(folder))

    (found,) = caught.value.problems
    assert found.message == "Kling VIDEO O1 Standard has no mode 'edit'"
    assert found.accepted == "text, frames, reference images, reference videos"
    assert (found.line, found.key) == (16, "video")
