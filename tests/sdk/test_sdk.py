"""A client that is not ours, Runware's own, understands the emulator as it understands Runware."""

from __future__ import annotations

import io
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tests.sdk.conftest import books, error_of, sdk, sdk_python

EXAMPLES = Path(__file__).parents[1] / "emulator" / "page_examples.json"


def size_of(url: str) -> tuple[int, int, int]:
    """Width, height and number of frames of a video that lies at `url`."""
    content = httpx.get(url).raise_for_status().content
    with av.open(io.BytesIO(content), mode="r") as container:
        frames = list(container.decode(video=0))
    return frames[0].width, frames[0].height, len(frames)


def test_a_clip_is_one_result_with_its_price_and_a_video_behind_its_address(server: EmulatorServer) -> None:
    told = sdk(server, "text")

    [result] = told["results"]
    assert told["seen"] == [result]
    assert result["status"] == "success"
    assert result["taskType"] == "videoInference"
    assert result["cost"] == 0.42
    assert isinstance(result["seed"], int)
    assert result["videoURL"] == f"{server.origin}/video/{result['videoUUID']}.mp4"
    assert size_of(result["videoURL"]) == (1280, 720, 6)
    [task] = books(server)["tasks"]
    assert (task["taskUUID"], task["state"], task["charge_usd"]) == (result["taskUUID"], "success", "0.42")
    assert task["request"]["deliveryMethod"] == "async"


def test_two_results_of_one_task_are_two_videos_each_with_its_price(server: EmulatorServer) -> None:
    told = sdk(server, "two")

    first, second = told["results"]
    assert told["seen"] == [first, second]
    assert first["taskUUID"] == second["taskUUID"]
    assert first["videoUUID"] != second["videoUUID"]
    assert first["seed"] != second["seed"]
    assert (first["cost"], second["cost"]) == (0.42, 0.42)
    assert books(server)["total_usd"] == "0.84"


def test_the_pages_own_ten_requests_cost_what_the_page_says(server: EmulatorServer) -> None:
    outcomes = sdk(server, "examples", str(EXAMPLES))

    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    assert [[item["taskUUID"] for item in outcome] for outcome in outcomes] == [
        [example["request"]["taskUUID"]] for example in examples
    ]
    assert [Decimal(str(outcome[0]["cost"])) for outcome in outcomes] == [
        Decimal(example["cost_usd"]) for example in examples
    ]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a length that is not made": ({"duration": 7}, "duration"),
    "no prompt": ({"positivePrompt": None}, "positivePrompt"),
    "a prompt too short": ({"positivePrompt": "A"}, "positivePrompt"),
    "a size that is not made": ({"width": 1000}, "width"),
    "half a size": ({"height": None}, "height"),
    "no size": ({"width": None, "height": None}, "width"),
    "an unknown field": ({"negativePrompt": "rain"}, "negativePrompt"),
    "too many results": ({"numberResults": 5}, "numberResults"),
    "another model": ({"model": "klingai:kling@o9"}, "model"),
    "a UUID that is none": ({"taskUUID": "7"}, "taskUUID"),
    "a last frame alone": (
        {
            "width": None,
            "height": None,
            "inputs": {"frameImages": [{"image": "https://a.test/b.png", "frame": "last"}]},
        },
        "inputs.frameImages",
    ),
    "frames with a size": ({"inputs": {"frameImages": ["https://a.test/b.png"]}}, "inputs.frameImages"),
}


def test_mistakes_are_errors_of_validation_that_name_their_field(server: EmulatorServer) -> None:
    outcomes = sdk(server, "mistakes", *(json.dumps(fields) for fields, _ in MISTAKES.values()))

    errors = dict(zip(MISTAKES, map(error_of, outcomes), strict=True))
    assert {name: error["parameter"] for name, error in errors.items()} == {
        name: parameter for name, (_, parameter) in MISTAKES.items()
    }
    for error in errors.values():
        assert (error["code"], error["status_code"], error["retryable"]) == ("validation", 400, False), error
        assert error["task_type"] == "videoInference"
        assert error["message"]
    kept = books(server)
    assert (kept["tasks"], kept["total_usd"]) == ([], "0.00")
    # It tries none of them again.
    assert kept["counts"]["posts"] == kept["counts"]["rejected"] == len(MISTAKES)


def test_a_key_that_is_not_accepted_is_an_error_of_authentication() -> None:
    with EmulatorServer(EmulatorSettings(api_key="another-key")) as server:
        error = error_of(sdk(server, "text")["results"])
        kept = books(server)

    assert (error["code"], error["status_code"], error["retryable"]) == ("auth", 401, False)
    assert (error["parameter"], error["task_type"]) == ("apiKey", "authentication")
    assert "a-key" not in error["message"]
    assert (kept["tasks"], kept["counts"]["posts"]) == ([], 1)


def test_a_uuid_is_good_for_one_task_even_when_that_is_over(server: EmulatorServer) -> None:
    task_uuid = str(uuid.uuid4())
    told = sdk(server, "twice", task_uuid)

    [result] = told["first"]["results"]
    for again in ("during", "after"):
        error = error_of(told[again]["results"])
        assert (error["code"], error["parameter"], error["task_uuid"]) == ("validation", "taskUUID", task_uuid)
        assert error["status_code"] == 400
    assert result["taskUUID"] == task_uuid
    kept = books(server)
    assert (len(kept["tasks"]), kept["total_usd"]) == (1, "0.42")


def test_a_picture_is_uploaded_both_ways_used_and_deleted(server: EmulatorServer, picture: Path) -> None:
    told = sdk(server, "uploads", str(picture))

    [image], [medium] = told["image"], told["medium"]
    assert httpx.get(image["imageURL"]).content == picture.read_bytes()
    assert (medium["operation"], medium["taskType"]) == ("upload", "mediaStorage")
    [clip] = told["clip"]
    assert (clip["cost"], size_of(clip["videoURL"])) == (0.42, (1280, 720, 6))
    [deleted], again = told["deleted"]
    assert (deleted["operation"], deleted["mediaUUID"]) == ("delete", medium["mediaUUID"])
    assert httpx.get(medium["mediaURL"]).status_code == 404
    assert (error_of(again)["code"], error_of(again)["parameter"]) == ("notFound", "mediaUUID")
    assert error_of(told["after"])["parameter"] == "inputs.frameImages"


def test_references_come_as_address_data_uri_and_base64(server: EmulatorServer, picture: Path) -> None:
    [result] = sdk(server, "references", str(picture))

    assert result["cost"] == 0.252
    assert size_of(result["videoURL"]) == (1280, 720, 4)


def test_a_clip_is_edited_by_its_address_and_by_its_uuid(server: EmulatorServer) -> None:
    told = sdk(server, "chain")

    [first] = told["first"]
    lengths = [size_of(result["videoURL"]) for result in (first, *(edit[0] for edit in told["edits"]))]
    assert lengths == [(1280, 720, 6)] * 3
    assert {edit[0]["cost"] for edit in told["edits"]} == {0.756}


def test_what_was_made_can_be_asked_for_again(server: EmulatorServer) -> None:
    told = sdk(server, "questions", str(uuid.uuid4()))

    assert told["response"] == told["results"]
    [details] = told["details"]
    assert details["response"] == {"data": told["results"]}
    [request] = details["request"]
    assert request["positivePrompt"] == "A tram climbs through autumn trees"
    assert told["unknown"] == []
    assert error_of(told["account"])["code"] == "validation"


def test_clips_that_are_made_at_once_do_not_get_mixed_up(server: EmulatorServer) -> None:
    task_uuids = [str(uuid.uuid4()) for _ in range(12)]
    told = sdk(server, "many", *task_uuids)

    assert [entry["taskUUID"] for entry in told] == task_uuids
    kept = books(server)
    assert {task["taskUUID"] for task in kept["tasks"]} == set(task_uuids)
    assert kept["total_usd"] == "5.04"


def test_without_the_client_the_tests_fail_and_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="make test-sdk"):
        sdk_python(tmp_path)
