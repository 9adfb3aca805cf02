"""The forms that Prefect makes of the flows' signatures: flat, typed, described, with limits and choices."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from flows.batch import batch
from flows.commands.flags import FinishFlags, RunFlags
from flows.estimate import estimate
from flows.recover import recover
from flows.render import render

FLOWS = [render, estimate, batch, recover]
CHOICES = {
    "provider": ["runware", "emulator"],
    "nsfw": ["keep", "fail"],
    "pictures": ["inline", "upload"],
    "on_empty": ["fail", "pause"],
    "sign": ["auto", "required", "off"],
    "seam": ["conform", "lossless", "auto"],
    "run_on": ["auto", "workers", "here"],
}
SCALARS = {"string", "integer", "number", "boolean"}


def fields(flow: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = parameter_schema(flow.fn).model_dump()["properties"]
    return found


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_parameter_is_described_and_of_a_type_that_a_form_shows(flow: Any) -> None:
    for name, field in fields(flow).items():
        assert len(field.get("description", "")) > 10, name
        kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
        assert len(kinds) == 1, name  # or nothing, but never a choice of types
        (kind,) = kinds
        match kind["type"]:
            case "object":
                assert kind["additionalProperties"] == {"type": "string"}, name
                assert "anyOf" not in field, name
            case "array":
                assert kind["items"]["type"] in SCALARS, name
            case scalar:
                assert scalar in SCALARS, name
        if kind["type"] in {"integer", "number"}:
            assert {"minimum", "maximum"} <= kind.keys(), name


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_choices_are_told_and_no_definitions_are_needed(flow: Any) -> None:
    assert parameter_schema(flow.fn).model_dump()["definitions"] == {}
    for name, field in fields(flow).items():
        (kind,) = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
        assert kind.get("enum") == CHOICES.get(name), name


@pytest.mark.parametrize(
    ("flow", "required"),
    [(render, ["storyboard", "output"]), (estimate, ["storyboard"]), (batch, ["storyboards", "output"]), (recover, [])],
)
def test_a_form_asks_for_no_more_than_it_must(flow: Any, required: list[str]) -> None:
    schema = parameter_schema(flow.fn).model_dump()

    assert schema.get("required", []) == required
    assert [field["position"] for field in schema["properties"].values()] == list(range(len(schema["properties"])))


@pytest.mark.parametrize("flow", [render, batch], ids=lambda flow: flow.name)
def test_every_flag_of_a_command_that_pays_is_a_parameter(flow: Any) -> None:
    assert {*RunFlags().parameters(), *FinishFlags().parameters()} <= set(fields(flow))


def test_what_a_batch_gives_to_a_render_is_called_alike() -> None:
    own = {"storyboards", "budget_usd", "force", "at_once", "run_on", "render_deployment"}
    renders = fields(render)

    for name, field in fields(batch).items():
        if name not in own:
            assert name in renders
            assert {key: field.get(key) for key in ("type", "default", "minimum", "maximum")} == {
                key: renders[name].get(key) for key in ("type", "default", "minimum", "maximum")
            }, name
