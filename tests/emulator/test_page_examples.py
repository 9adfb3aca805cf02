"""The model page's own ten requests are accepted as they stand, and cost what the page says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.emulator.conftest import Api

EXAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "page_examples.json").read_text(encoding="utf-8"))


def test_there_are_ten() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])
def test_example_is_accepted_and_billed_to_the_cent(api: Api, example: dict[str, Any]) -> None:
    result = api.make({**example["request"], "includeCost": True})

    assert Decimal(str(result["cost"])) == Decimal(example["cost_usd"])
    entry = next(task for task in api.books()["tasks"] if task["taskUUID"] == example["request"]["taskUUID"])
    assert Decimal(entry["charge_usd"]) == Decimal(example["cost_usd"])


def test_cost_is_told_only_on_request(api: Api) -> None:
    assert "cost" not in api.make(api.text_task(includeCost=...))
