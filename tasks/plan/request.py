"""Builds the request of a take: the provider's own parameter names, in the order of its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tasks.plan.model import Input
from tasks.storyboard.model import Shot

__all__ = ["build_request", "fill_inputs"]


def build_request(
    shot: Shot,
    *,
    model: str,
    prompt: str,
    width: int | None,
    height: int | None,
    generate_s: Decimal | None,
    inputs: Sequence[Input],
    show: Callable[[Input], str],
) -> dict[str, Any]:
    """The parameters of one `videoInference` task, without its taskUUID.

    Args:
        shot: The shot, for its output options.
        model: The model's id.
        prompt: The finished prompt.
        width: Pixels, with `height`; None where the inputs decide the size.
        height: See `width`.
        generate_s: Whole seconds; None where the source decides the length.
        inputs: The inputs in order.
        show: Turns an input into the string that stands for it: a URL, a UUID, a data URI.
    """
    request: dict[str, Any] = {
        "taskType": "videoInference",
        "model": model,
        "positivePrompt": prompt,
    }
    if width is not None and height is not None:
        request |= {"width": width, "height": height}
    if generate_s is not None:
        request["duration"] = int(generate_s)
    request["deliveryMethod"] = "async"
    request["includeCost"] = True
    if shot.output_format is not None:
        request["outputFormat"] = shot.output_format
    if shot.output_quality is not None:
        request["outputQuality"] = shot.output_quality
    if shot.safety is not None:
        request["safety"] = dict(shot.safety)
    if shot.ttl is not None:
        request["ttl"] = shot.ttl
    if shot.keep_original_sound is not None:
        request["providerSettings"] = {"klingai": {"keepOriginalSound": shot.keep_original_sound}}
    if inputs:
        request["inputs"] = fill_inputs(inputs, show)
    return request


def fill_inputs(inputs: Sequence[Input], show: Callable[[Input], str]) -> dict[str, Any]:
    """The `inputs` object of a request."""
    filled: dict[str, Any] = {}
    for item in inputs:
        text = show(item)
        match item.role:
            case "first_frame":
                filled.setdefault("frameImages", []).append({"image": text, "frame": "first"})
            case "last_frame":
                filled.setdefault("frameImages", []).append({"image": text, "frame": "last"})
            case "reference_image":
                filled.setdefault("referenceImages", []).append(text)
            case "reference_video":
                filled.setdefault("referenceVideos", []).append(text)
            case "video":
                filled["video"] = text
    return filled
