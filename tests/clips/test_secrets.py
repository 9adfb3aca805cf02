"""The key is nowhere but in the request's header."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import KeyRefused, ShotchainError
from tests.clips.house import KEY, House
from tests.runware.provider import Provider, lose_reply, refuse


def everything_kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_a_run_leaves_no_key_anywhere(house: House, provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider.submissions = deque([lose_reply])
    provider.downloads = deque(["broken", "gone"])
    await house.render(provider)
    kept = everything_kept(house.folder)
    assert len(kept) > 10_000
    assert KEY.encode() not in kept
    assert KEY not in caplog.text
    assert KEY not in repr(house.events)
    assert KEY not in repr(house.settings())


async def test_the_hosts_of_results_do_not_get_it(house: House, provider: Provider) -> None:
    await house.render(provider)
    assert provider.headers
    assert all("authorization" not in headers for headers in provider.headers)


@pytest.mark.parametrize("where", ["submission", "question", "ending"])
async def test_a_provider_that_repeats_the_key_does_not_spread_it(
    house: House, provider: Provider, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: dict[str, Any] = {"message": f"your key {KEY} is odd", "apiKey": KEY, "parameter": [KEY]}
    if where == "submission":
        provider.submissions = deque([refuse("invalidParameter", **told)])
    elif where == "ending":
        provider.endings = deque([{"code": "internalThing", **told}] * 3)
    else:
        provider.key = "the right one"
    error = await house.render(provider)
    assert isinstance(error, ShotchainError)
    assert isinstance(error, KeyRefused) == (where == "question")
    for text in (str(error), repr(error), repr(error.as_dict()), caplog.text, repr(house.events)):
        assert KEY not in text
    assert KEY.encode() not in everything_kept(house.folder)
