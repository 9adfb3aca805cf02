"""Whatever one storyboard, or the file beside its film, is like: the others are looked at."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from flows.batches.boards import Board
from flows.batches.survey import survey
from tasks.errors import BadInput
from tasks.publish.manifest import FORMAT
from tasks.settings import resolve_settings
from tests.flows.conftest import Home

ONE = "shots: [{id: a, prompt: 'A calm lake', duration: 1}]"
WHOLE = {"format": FORMAT, "complete": True, "film": {"size_bytes": 1}}


@pytest.mark.parametrize(
    "manifest",
    [
        json.dumps({**WHOLE, "plan": {"shots": None}}),
        json.dumps({**WHOLE, "plan": {"shots": 5}}),
        json.dumps({**WHOLE, "plan": {"shots": [1]}}),
        json.dumps({**WHOLE, "plan": 5}),
        json.dumps({**WHOLE, "film": 5}),
        "[" * 100_000,
        "\x00",
    ],
)
async def test_a_manifest_that_is_none_is_no_film(home: Home, manifest: str) -> None:
    board = home.storyboard(ONE)
    (home.folder / "a.manifest.json").write_text(manifest)
    (home.folder / "a.mp4").write_bytes(b"x")

    found = await survey(
        [Board("a", str(board), str(home.folder / "a.mp4"))], resolve_settings(provider="emulator"), force=False
    )

    assert [(item.error, item.manifest) for item in found] == [(None, None)]
    assert found[0].plan is not None


async def test_what_nobody_foresaw_is_the_error_of_one(home: Home) -> None:
    good = home.storyboard(ONE)
    # A path that no system call takes.
    boards = [Board("bad", "a\x00b.yaml", str(home.folder / "bad.mp4")), Board("good", str(good), "good.mp4")]
    blocked = home.folder / "file"
    blocked.write_text("")
    boards.append(Board("blocked", str(good), str(blocked / "x.mp4")))

    found = {
        item.board.name: item.error for item in await survey(boards, resolve_settings(provider="emulator"), force=False)
    }

    assert found["good"] is None
    assert found["bad"] is not None
    assert isinstance(found["blocked"], BadInput)


def test_an_empty_file_is_not_made_a_ledger(home: Home) -> None:
    ledger = Path(home.environment["SHOTCHAIN_LEDGER"])
    ledger.touch()

    boards = [Board("a", str(home.storyboard(ONE)), "a.mp4")]
    asyncio.run(survey(boards, resolve_settings(provider="emulator"), force=False))

    assert ledger.stat().st_size == 0
