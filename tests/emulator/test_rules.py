"""Every rule of the model page, and the field that its error names."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.emulator.errors import WireError
from tasks.emulator.rules import SIZES, read_order

STANDARD, PRO = "klingai:kling@o1-standard", "klingai:kling@o1"
A, B, V = "https://example.org/a.png", "https://example.org/b.png", "https://example.org/v.mp4"


def task(**fields: Any) -> dict[str, Any]:
    """A valid text request with `fields` over it; ... leaves a field out."""
    whole = {
        "taskType": "videoInference",
        "taskUUID": str(uuid.uuid4()),
        "model": STANDARD,
        "positivePrompt": "A tram climbs",
        "width": 1280,
        "height": 720,
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def with_media(inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return task(**{"width": ..., "height": ..., "inputs": inputs, **fields})


def refusal(request: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(WireError) as caught:
        read_order(request)
    return caught.value.as_wire(request)


def outcome(request: dict[str, Any]) -> WireError | None:
    """Why a request is refused; None if it is taken."""
    try:
        read_order(request)
    except WireError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("fields", "code", "parameter"),
    [
        ({"taskUUID": ...}, "missingParameter", "taskUUID"),
        ({"taskUUID": "7"}, "invalidTaskUUID", "taskUUID"),
        ({"taskUUID": str(uuid.uuid1())}, "invalidTaskUUID", "taskUUID"),
        ({"taskUUID": 7}, "invalidParameter", "taskUUID"),
        ({"model": ...}, "missingParameter", "model"),
        ({"model": "klingai:kling@o2"}, "invalidModel", "model"),
        ({"positivePrompt": ...}, "missingPositivePrompt", "positivePrompt"),
        ({"positivePrompt": ""}, "invalidPositivePromptLength", "positivePrompt"),
        ({"positivePrompt": "a"}, "invalidPositivePromptLength", "positivePrompt"),
        ({"positivePrompt": "a" * 2501}, "invalidPositivePromptLength", "positivePrompt"),
        ({"positivePrompt": ["a tram"]}, "invalidParameter", "positivePrompt"),
        ({"seed": 7}, "unsupportedParameter", "seed"),
        ({"negativePrompt": "rain"}, "unsupportedParameter", "negativePrompt"),
        ({"outputType": "base64Data"}, "invalidParameter", "outputType"),
        ({"outputFormat": "GIF"}, "invalidParameter", "outputFormat"),
        ({"outputFormat": "mp4"}, "invalidParameter", "outputFormat"),
        ({"outputQuality": 19}, "invalidParameter", "outputQuality"),
        ({"outputQuality": 100}, "invalidParameter", "outputQuality"),
        ({"outputQuality": 95.0}, "invalidParameter", "outputQuality"),
        ({"outputQuality": True}, "invalidParameter", "outputQuality"),
        ({"deliveryMethod": "sync"}, "invalidParameter", "deliveryMethod"),
        ({"webhookURL": "ftp://example.org/"}, "invalidParameter", "webhookURL"),
        ({"webhookURL": "not a url"}, "invalidParameter", "webhookURL"),
        ({"uploadEndpoint": "/put/here"}, "invalidParameter", "uploadEndpoint"),
        ({"ttl": 59}, "invalidParameter", "ttl"),
        ({"ttl": "60"}, "invalidParameter", "ttl"),
        ({"ttl": None}, "invalidParameter", "ttl"),
        ({"includeCost": "true"}, "invalidParameter", "includeCost"),
        ({"numberResults": 0}, "invalidParameter", "numberResults"),
        ({"numberResults": 5}, "invalidParameter", "numberResults"),
        ({"safety": True}, "invalidParameter", "safety"),
        ({"safety": {"checkContent": 1}}, "invalidParameter", "safety.checkContent"),
        ({"safety": {"mode": "slow"}}, "invalidParameter", "safety.mode"),
        ({"safety": {"level": 1}}, "unsupportedParameter", "safety.level"),
        ({"providerSettings": []}, "invalidParameter", "providerSettings"),
        ({"providerSettings": {"openai": {}}}, "unsupportedParameter", "providerSettings.openai"),
        (
            {"providerSettings": {"klingai": {"cfg": 1}}},
            "unsupportedParameter",
            "providerSettings.klingai.cfg",
        ),
        (
            {"providerSettings": {"klingai": {"keepOriginalSound": 1}}},
            "invalidParameter",
            "providerSettings.klingai.keepOriginalSound",
        ),
        ({"width": ..., "height": ...}, "missingParameter", ["width", "height"]),
        ({"width": ...}, "missingParameter", ["width", "height"]),
        ({"height": ...}, "missingParameter", ["height", "width"]),
        ({"width": 1280, "height": 721}, "invalidParameter", ["width", "height"]),
        ({"width": 1920, "height": 1080}, "invalidParameter", ["width", "height"]),
        ({"width": "1280"}, "invalidParameter", "width"),
        ({"duration": 6}, "unsupportedDuration", "duration"),
        ({"duration": 5.0}, "invalidParameter", "duration"),
        ({"inputs": A}, "invalidParameter", "inputs"),
        ({"inputs": {"image": A}}, "unsupportedParameter", "inputs.image"),
    ],
)
def test_field_is_refused_by_name(fields: dict[str, Any], code: str, parameter: Any) -> None:
    error = refusal(task(**fields))

    assert (error["code"], error["parameter"]) == (code, parameter)
    assert error["message"]
    assert error["documentation"].startswith("https://runware.ai/docs/")


@pytest.mark.parametrize(
    ("inputs", "fields", "code", "parameter"),
    [
        ({"frameImages": []}, {}, "arrayTooSmall", "inputs.frameImages"),
        ({"frameImages": A}, {}, "invalidParameter", "inputs.frameImages"),
        ({"frameImages": [A, B, A]}, {}, "arrayTooLarge", "inputs.frameImages"),
        ({"frameImages": [7]}, {}, "invalidParameter", "inputs.frameImages"),
        ({"frameImages": [{"frame": "first"}]}, {}, "missingParameter", "inputs.frameImages.image"),
        ({"frameImages": [{"image": A, "at": 1}]}, {}, "unsupportedParameter", "inputs.frameImages.at"),
        ({"frameImages": [{"image": A, "frame": 1}]}, {}, "invalidParameter", "inputs.frameImages.frame"),
        ({"frameImages": [{"image": A, "frame": True}]}, {}, "invalidParameter", "inputs.frameImages.frame"),
        ({"frameImages": [{"image": A, "frame": "last"}]}, {}, "invalidParameter", "inputs.frameImages"),
        (
            {"frameImages": [{"image": A, "frame": 0}, {"image": B, "frame": "first"}]},
            {},
            "invalidParameter",
            "inputs.frameImages",
        ),
        ({"frameImages": [A]}, {"duration": 7}, "unsupportedDuration", "duration"),
        ({"referenceImages": [A]}, {}, "missingParameter", ["width", "height"]),
        ({"referenceVideos": [V]}, {}, "missingParameter", ["width", "height"]),
        ({"referenceImages": [A] * 8}, {}, "arrayTooLarge", "inputs.referenceImages"),
        ({"referenceImages": [{"image": A}]}, {}, "invalidParameter", "inputs.referenceImages"),
        ({"referenceVideos": [V], "referenceImages": [A] * 8}, {}, "arrayTooLarge", "inputs.referenceImages"),
        ({"video": V, "referenceImages": [A] * 5}, {}, "arrayTooLarge", "inputs.referenceImages"),
        ({"video": [V]}, {}, "invalidParameter", "inputs.video"),
        ({"video": ""}, {}, "missingParameter", "inputs.video"),
    ],
)
def test_inputs_are_refused_by_name(inputs: dict[str, Any], fields: dict[str, Any], code: str, parameter: Any) -> None:
    error = refusal(with_media(inputs, **fields))

    assert (error["code"], error["parameter"]) == (code, parameter)


@pytest.mark.parametrize(
    ("request_", "first", "second"),
    [
        (
            with_media({"frameImages": [A], "referenceImages": [B]}),
            "inputs.frameImages",
            "inputs.referenceImages",
        ),
        (
            with_media({"frameImages": [A], "referenceVideos": [V]}),
            "inputs.frameImages",
            "inputs.referenceVideos",
        ),
        (with_media({"frameImages": [A], "video": V}), "inputs.frameImages", "inputs.video"),
        (with_media({"video": V, "referenceVideos": [V]}), "inputs.video", "inputs.referenceVideos"),
        (task(inputs={"frameImages": [A]}), "inputs.frameImages", "width"),
    ],
)
def test_modes_exclude_one_another_and_both_fields_are_named(request_: dict[str, Any], first: str, second: str) -> None:
    error = refusal(request_)

    assert error["code"] == "incompatibleParameters"
    assert error["parameter"] == [first, second]
    assert first in error["message"]
    assert second in error["message"]


def test_bounds_and_values_are_told() -> None:
    assert refusal(task(outputQuality=5)).items() >= {"type": "integer", "min": 20, "max": 99}.items()
    assert refusal(task(duration=6))["allowedValues"] == [5, 10]
    references = with_media({"referenceImages": [A]}, width=1280, height=720, duration=11)
    assert refusal(references).items() >= {"min": 3, "max": 10}.items()
    assert refusal(task(outputFormat="AVI"))["allowedValues"] == ["MP4", "WEBM", "MOV"]


@pytest.mark.parametrize(
    ("items", "roles"),
    [
        ([A], {"first": A}),
        ([A, B], {"first": A, "last": B}),
        ([{"image": A}], {"first": A}),
        ([A, {"image": B, "frame": "last"}], {"first": A, "last": B}),
        ([{"image": B, "frame": "last"}, A], {"first": A, "last": B}),
        ([{"image": B, "frame": -1}, {"image": A, "frame": 0}], {"first": A, "last": B}),
        ([{"image": A, "frame": "0"}, {"image": B, "frame": "-1"}], {"first": A, "last": B}),
        ([{"image": A, "frame": "first"}, B], {"first": A, "last": B}),
    ],
)
def test_frame_positions_have_many_spellings(items: list[Any], roles: dict[str, str]) -> None:
    order = read_order(with_media({"frameImages": items}))

    assert order.mode == "frames"
    assert {ref.role: ref.text for ref in order.inputs} == roles


@pytest.mark.parametrize("model", [STANDARD, PRO])
def test_sizes_are_those_of_the_model(model: str) -> None:
    for width, height in SIZES[model]:
        assert read_order(task(model=model, width=width, height=height)).width == width
    other = PRO if model == STANDARD else STANDARD
    width, height = SIZES[other][0]
    assert refusal(task(model=model, width=width, height=height))["parameter"] == ["width", "height"]


@given(duration_s=st.integers(-5, 20))
def test_durations_depend_on_the_mode(duration_s: int) -> None:
    def accepts(request: dict[str, Any]) -> bool:
        refused = outcome(request)
        return refused is None or refused.parameter != "duration"

    size = {"width": 960, "height": 960, "duration": duration_s}
    assert accepts(task(**size)) == (duration_s in {5, 10})
    assert accepts(with_media({"frameImages": [A]}, duration=duration_s)) == (duration_s in {5, 10})
    assert accepts(with_media({"referenceImages": [A] * 7}, **size)) == (3 <= duration_s <= 10)
    assert accepts(with_media({"referenceVideos": [V]}, **size)) == (3 <= duration_s <= 10)
    assert accepts(with_media({"video": V}, duration=duration_s))


def test_an_edit_takes_length_and_size_from_its_source() -> None:
    order = read_order(with_media({"video": V, "referenceImages": [A] * 4}, width=1280, height=720, duration=10))

    assert (order.mode, order.width, order.height, order.duration_s) == ("edit", None, None, None)


def test_everything_optional_at_once() -> None:
    order = read_order(
        task(
            outputType="URL",
            outputFormat="MOV",
            outputQuality=20,
            webhookURL="https://example.org/hook?x=1",
            uploadEndpoint="https://example.org/put",
            deliveryMethod="async",
            safety={"checkContent": True, "mode": "fast"},
            ttl=60,
            includeCost=True,
            numberResults=4,
            inputs={},
            duration=10,
            providerSettings={"klingai": {"keepOriginalSound": False}},
        )
    )

    assert order.mode == "text"
    assert (order.output_format, order.output_quality, order.number_results, order.ttl_s) == (
        "MOV",
        20,
        4,
        60,
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = sorted([*task(), "duration", "inputs", "safety", "ttl", "providerSettings", "numberResults", "webhookURL"])


@given(name=st.sampled_from(_NAMES), value=_JSON)
def test_any_value_in_any_field_is_taken_or_refused_cleanly(name: str, value: Any) -> None:
    request = task(**{name: value})
    refused = outcome(request)
    assert refused is None or (refused.http_status == 400 and refused.parameter)
