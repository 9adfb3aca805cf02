"""Which requests are accepted: the model's page, as checks.

`read_order` turns one `videoInference` object into an `Order` or raises a `WireError` that names the field.
Whether the media that it names can be used is decided by `tasks.emulator.media_inputs`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from tasks.emulator.errors import WireError, incompatible, invalid, missing
from tasks.emulator.fields import Fields, read_uuid4

__all__ = ["SIZES", "InputRef", "Mode", "Order", "Role", "read_order"]

Mode = Literal["text", "frames", "referenceImages", "referenceVideos", "edit"]
Role = Literal["first", "last", "referenceImage", "referenceVideo", "video"]

# model -> (width, height) in pixels
SIZES: dict[str, tuple[tuple[int, int], ...]] = {
    "klingai:kling@o1-standard": ((1280, 720), (960, 960), (720, 1280)),
    "klingai:kling@o1": ((1920, 1080), (1440, 1440), (1080, 1920)),
}

_TOP = frozenset(
    [
        "taskType",
        "taskUUID",
        "outputType",
        "outputFormat",
        "outputQuality",
        "webhookURL",
        "deliveryMethod",
        "uploadEndpoint",
        "safety",
        "ttl",
        "includeCost",
        "numberResults",
        "inputs",
        "model",
        "positivePrompt",
        "width",
        "height",
        "duration",
        "providerSettings",
    ]
)
_POSITIONS: dict[Any, Literal["first", "last"]] = {
    "first": "first",
    "0": "first",
    "last": "last",
    "-1": "last",
}
_POSITION_VALUES = ["first", "last", 0, -1]


@dataclass(frozen=True)
class InputRef:
    """One picture or video that a request names: what for, where, and the text that names it."""

    role: Role
    parameter: str
    text: str


@dataclass(frozen=True)
class Order:
    """One valid `videoInference` request.

    `width` and `height` are None where the media decide them; `duration_s` is None where the source does.
    """

    task_uuid: str
    model: str
    mode: Mode
    prompt: str
    width: int | None
    height: int | None
    duration_s: int | None
    inputs: tuple[InputRef, ...]
    output_format: str
    output_quality: int
    number_results: int
    ttl_s: int | None
    include_cost: bool
    check_content: bool
    keep_original_sound: bool
    webhook_url: str | None
    upload_endpoint: str | None

    @property
    def from_video(self) -> bool:
        """Whether it is billed as made from a video."""
        return self.mode in {"referenceVideos", "edit"}


def read_order(task: dict[str, Any]) -> Order:
    """Check one `videoInference` object against everything that the model's page states.

    Raises:
        WireError: The first rule that it breaks.
    """
    task_uuid = read_uuid4(task)
    fields = Fields(task)
    model = fields.text("model", required=True)
    if model not in SIZES:
        raise invalid(
            "model",
            f"Model '{model}' is not available here.",
            "invalidModel",
            allowedValues=list(SIZES),
            type="string",
        )
    fields.only(_TOP)
    prompt = fields.text("positivePrompt", required=True, code="missingPositivePrompt")
    if not 2 <= len(prompt) <= 2500:
        raise invalid(
            "positivePrompt",
            f"'positivePrompt' has {len(prompt)} characters; it must have 2 to 2500.",
            "invalidPositivePromptLength",
            type="string",
            min=2,
            max=2500,
        )
    fields.choice("outputType", ("URL",), "URL")
    fields.choice("deliveryMethod", ("async",), "async")
    output_format = fields.choice("outputFormat", ("MP4", "WEBM", "MOV"), "MP4")
    output_quality = fields.integer("outputQuality", 20, 99) or 95
    number_results = fields.integer("numberResults", 1, 4) or 1
    ttl_s = fields.integer("ttl", 60, None)
    include_cost = fields.boolean("includeCost")
    webhook_url = fields.uri("webhookURL")
    upload_endpoint = fields.uri("uploadEndpoint")
    safety = fields.object("safety")
    safety.only(frozenset({"checkContent", "mode"}))
    check_content = safety.boolean("checkContent")
    safety_mode = safety.choice("mode", ("none", "fast", "full"), "none")
    settings = fields.object("providerSettings")
    settings.only(frozenset({"klingai"}))
    klingai = settings.object("klingai")
    klingai.only(frozenset({"keepOriginalSound"}))
    keep_original_sound = klingai.boolean("keepOriginalSound")

    inputs = fields.object("inputs")
    inputs.only(frozenset({"frameImages", "referenceImages", "referenceVideos", "video"}))
    mode, refs = _read_inputs(inputs)
    width, height = _read_size(fields, model, mode)
    duration_s = _read_duration(fields, mode)
    return Order(
        task_uuid=task_uuid,
        model=model,
        mode=mode,
        prompt=prompt,
        width=width,
        height=height,
        duration_s=duration_s,
        inputs=refs,
        output_format=output_format,
        output_quality=output_quality,
        number_results=number_results,
        ttl_s=ttl_s,
        include_cost=include_cost,
        check_content=check_content or safety_mode != "none",
        keep_original_sound=keep_original_sound,
        webhook_url=webhook_url,
        upload_endpoint=upload_endpoint,
    )


def _read_inputs(inputs: Fields) -> tuple[Mode, tuple[InputRef, ...]]:
    frames = inputs.array("frameImages")
    images = inputs.array("referenceImages")
    videos = inputs.array("referenceVideos")
    video = inputs.text("video")
    for one, other in (
        ("frameImages", "referenceImages"),
        ("frameImages", "referenceVideos"),
        ("frameImages", "video"),
        ("video", "referenceVideos"),
    ):
        if inputs.has(one) and inputs.has(other):
            raise incompatible(f"inputs.{one}", f"inputs.{other}")
    most = 4 if video else 7
    if len(images) > most:
        with_what = " when 'inputs.video' is given" if video else ""
        raise invalid(
            "inputs.referenceImages",
            f"'inputs.referenceImages' has {len(images)} items; at most {most} are accepted{with_what}.",
            "arrayTooLarge",
            type="array",
            max=most,
        )
    refs = [_text_item("referenceImage", "inputs.referenceImages", index, item) for index, item in enumerate(images)]
    if frames:
        return "frames", _read_frames(frames)
    if video:
        return "edit", (InputRef("video", "inputs.video", video), *refs)
    if videos:
        sources = [_text_item("referenceVideo", "inputs.referenceVideos", i, item) for i, item in enumerate(videos)]
        return "referenceVideos", (*sources, *refs)
    return ("referenceImages" if refs else "text"), tuple(refs)


def _text_item(role: Role, parameter: str, index: int, item: Any) -> InputRef:
    if not isinstance(item, str) or not item:
        raise invalid(parameter, f"'{parameter}[{index}]' must be a string that is not empty.", type="string")
    return InputRef(role, parameter, item)


def _read_frames(items: list[Any]) -> tuple[InputRef, ...]:
    name = "inputs.frameImages"
    if len(items) > 2:
        raise invalid(
            name,
            f"'{name}' has {len(items)} items; 1 or 2 are accepted.",
            "arrayTooLarge",
            type="array",
            min=1,
            max=2,
        )
    texts: list[str] = []
    given: list[Literal["first", "last"] | None] = []
    for index, item in enumerate(items):
        if isinstance(item, str):
            texts.append(_text_item("first", name, index, item).text)
            given.append(None)
        elif isinstance(item, dict):
            entry = Fields(item, name)
            entry.only(frozenset({"image", "frame"}))
            texts.append(entry.text("image", required=True))
            given.append(_read_position(entry))
        else:
            raise invalid(name, f"'{name}[{index}]' must be a string or an object.", type="string")
    if len(items) == 2 and given[0] is not None and given[0] == given[1]:
        raise invalid(name, f"Both items of '{name}' are for the {given[0]} frame.", allowedValues=_POSITION_VALUES)
    left = [position for position in ("first", "last") if position not in given]
    positions = [position or left.pop(0) for position in given]
    if "first" not in positions:
        raise invalid(
            name,
            f"'{name}' has a last frame without a first one. Add the first frame.",
            allowedValues=_POSITION_VALUES,
        )
    refs = {
        position: InputRef("first" if position == "first" else "last", name, text)
        for position, text in zip(positions, texts, strict=True)
    }
    return tuple(refs[position] for position in ("first", "last") if position in refs)


def _read_position(entry: Fields) -> Literal["first", "last"] | None:
    if not entry.has("frame"):
        return None
    value = entry.values["frame"]
    position = None
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        position = _POSITIONS.get(str(value))
    if position is None:
        raise invalid(
            "inputs.frameImages.frame",
            f"'inputs.frameImages.frame' is {json.dumps(value)[:80]}; only the first and the last frame can be given.",
            allowedValues=_POSITION_VALUES,
        )
    return position


def _read_size(fields: Fields, model: str, mode: Mode) -> tuple[int | None, int | None]:
    width = fields.integer("width", 1, None)
    height = fields.integer("height", 1, None)
    if mode == "frames":
        for name in ("width", "height"):
            if fields.has(name):
                raise incompatible("inputs.frameImages", name, "The first frame decides the size.")
    for one, other in (("width", "height"), ("height", "width")):
        if fields.has(one) and not fields.has(other):
            raise missing([other, one], f"'{other}' is missing: 'width' and 'height' must be used together.")
    if width is None or height is None:
        if mode in {"frames", "edit"}:
            return None, None
        allowed = [f"{w}x{h}" for w, h in SIZES[model]]
        how = "'inputs.frameImages', or 'width' and 'height'" if mode == "text" else "'width' and 'height'"
        raise missing(["width", "height"], f"Nothing decides the size. Provide {how}.", allowedValues=allowed)
    if (width, height) not in SIZES[model]:
        allowed = [f"{w}x{h}" for w, h in SIZES[model]]
        raise invalid(
            ["width", "height"],
            f"'width' and 'height' are {width}x{height}; this model makes {', '.join(allowed)}.",
            type="integer",
            allowedValues=allowed,
        )
    # An edit has its source's size, whatever was asked for.
    return (None, None) if mode == "edit" else (width, height)


def _read_duration(fields: Fields, mode: Mode) -> int | None:
    duration_s = fields.integer("duration", None, None)
    if mode == "edit":
        return None
    if duration_s is None:
        return 5
    if mode in {"text", "frames"}:
        if duration_s not in {5, 10}:
            what = "a clip from text" if mode == "text" else "'inputs.frameImages'"
            raise WireError(
                "unsupportedDuration",
                f"'duration' is {duration_s}; {what} allows 5 or 10 seconds.",
                "duration",
                type="integer",
                allowedValues=[5, 10],
            )
    elif not 3 <= duration_s <= 10:
        raise WireError(
            "unsupportedDuration",
            f"'duration' is {duration_s}; 'inputs.{mode}' allows 3 to 10 seconds.",
            "duration",
            type="integer",
            min=3,
            max=10,
        )
    return duration_s
