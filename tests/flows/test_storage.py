"""A film on object storage: clip store and output on a real S3 server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.render import render
from tests.flows.conftest import Home

pytestmark = pytest.mark.runs

BOARD = """
shots:
  - {id: lake, prompt: A calm lake at dawn, duration: 1}
  - {id: ripples, prompt: The lake ripples, duration: 1, boundary: continue}
"""


@pytest.fixture
def bucket(s3: Any) -> Any:
    s3.mkdir("films")
    return s3


@pytest.mark.usefixtures("on_server")
async def test_clips_and_film_live_in_a_bucket_and_are_reused_from_there(home: Home, bucket: Any) -> None:
    board = home.storyboard(BOARD)
    here = str(home.folder / "one.db")
    made = await render(
        str(board), "s3://films/out/heron.mp4", provider="emulator", work="s3://films/work", ledger=here
    )
    assert (made["generated"], made["output"]) == (2, "s3://films/out/heron.mp4")
    manifest = json.loads(bucket.cat_file("films/out/heron.manifest.json"))
    assert manifest["film"]["size_bytes"] == bucket.info("films/out/heron.mp4")["size"]

    # Another machine, with nothing but the bucket: no ledger row, no cache. A clip in the store is reused.
    there = str(home.folder / "elsewhere" / "two.db")
    again = await render(
        str(board),
        "s3://films/out/again.mp4",
        provider="emulator",
        budget_usd="0",
        work="s3://films/work",
        ledger=there,
    )
    assert (again["generated"], again["reused"]) == (0, 2)
    bucket.invalidate_cache()
    assert bucket.cat_file("films/out/again.mp4") == bucket.cat_file("films/out/heron.mp4")
    assert not [path for path in bucket.find("films") if ".part" in path]
