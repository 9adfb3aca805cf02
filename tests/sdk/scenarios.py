"""What a program that uses Runware's own Python client does. Run by the interpreter of `.venv-sdk`.

    python scenarios.py URL NAME [ARGUMENT...]

It speaks REST to an address of http, and by WebSocket to one of ws. Prints one JSON value: what the client returned, or what it raised as `{"error": {...}}`. Nothing of this project is
imported here: whatever the client sends and understands is its own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from runware import RunOptions, Runware, RunwareError  # type: ignore[import-not-found]

Scenario: TypeAlias = Callable[..., Awaitable[Any]]

MODEL = "klingai:kling@o1-standard"
TEXT = {
    "taskType": "videoInference",
    "model": MODEL,
    "positivePrompt": "A tram climbs through autumn trees",
    "width": 1280,
    "height": 720,
    "duration": 5,
    "includeCost": True,
}
BARE = {name: value for name, value in TEXT.items() if name not in {"width", "height"}}


def content_of(file: str) -> bytes:
    return Path(file).read_bytes()


async def told(answer: Awaitable[Any]) -> Any:
    """What a call returns, or the client's own account of its error."""
    try:
        return await answer
    except RunwareError as error:
        names = ("code", "message", "parameter", "status_code", "retryable", "task_type", "task_uuid", "documentation")
        return {"error": {name: getattr(error, name) for name in names}}


async def text(client: Any, **fields: Any) -> Any:
    """One clip, or as many as `numberResults` says; with every result as the callback is given it."""
    seen: list[Any] = []
    results = await told(client.run({**TEXT, **fields}, RunOptions(on_result=seen.append)))
    return {"results": results, "seen": seen}


async def two(client: Any) -> Any:
    return await text(client, numberResults=2)


async def mistakes(client: Any, *requests: str) -> Any:
    """Requests that no model accepts: each is TEXT with the given fields, where null takes a field away."""

    async def one(request: str) -> Any:
        fields = {**TEXT, **json.loads(request)}
        return await told(client.run({name: value for name, value in fields.items() if value is not None}))

    return await asyncio.gather(*map(one, requests))


async def clips(client: Any, *requests: str) -> Any:
    """Several calls of `text` at once, each with the given fields."""
    return await asyncio.gather(*(text(client, **json.loads(request)) for request in requests))


async def twice(client: Any, task_uuid: str) -> Any:
    """The same taskUUID for a second task: while the first is in work, and when it is over."""
    first = asyncio.create_task(text(client, taskUUID=task_uuid))
    await asyncio.sleep(0.3)
    during = await text(client, taskUUID=task_uuid)
    results = await first
    return {"first": results, "during": during, "after": await text(client, taskUUID=task_uuid)}


async def examples(client: Any, file: str) -> Any:
    """The requests of a JSON file, all at once, in the file's order."""
    entries = json.loads(content_of(file))
    return await asyncio.gather(*(told(client.run({**entry["request"], "includeCost": True})) for entry in entries))


async def uploads(client: Any, picture: str) -> Any:
    """A picture uploaded both ways, used as both frames of a clip, and deleted."""
    content = base64.b64encode(content_of(picture)).decode()
    image = await client.image_upload({"image": f"data:image/png;base64,{content}"})
    medium = await client.media_storage({"operation": "upload", "media": content})
    media_uuid = medium[0]["mediaUUID"]
    frames = [{"image": image[0]["imageUUID"], "frame": "first"}, {"image": media_uuid, "frame": "last"}]
    clip = await told(client.run({**BARE, "inputs": {"frameImages": frames}}))
    deletion = {"operation": "delete", "mediaUUID": media_uuid}
    deleted = [await told(client.media_storage(dict(deletion))) for _ in range(2)]
    after = await told(client.run({**BARE, "inputs": {"frameImages": frames}}))
    return {"image": image, "medium": medium, "clip": clip, "deleted": deleted, "after": after}


async def references(client: Any, picture: str) -> Any:
    """A clip of references that come in every spelling: an address, a data URI, bare base64."""
    content = base64.b64encode(content_of(picture)).decode()
    images = ["https://example.com/keeper.png", f"data:image/png;base64,{content}", content]
    return await told(client.run({**TEXT, "duration": 3, "inputs": {"referenceImages": images}}))


async def chain(client: Any) -> Any:
    """A clip, and an edit of that clip by its address and by its UUID."""
    first = await client.run(dict(TEXT))
    names = (first[0]["videoURL"], first[0]["videoUUID"])
    edits = await asyncio.gather(*(told(client.run({**BARE, "inputs": {"video": name}})) for name in names))
    return {"first": first, "edits": edits}


async def questions(client: Any, unknown: str) -> Any:
    """A finished task asked for again, and one that never was; then something that is not on offer."""
    results = await client.run(dict(TEXT))
    task_uuid = results[0]["taskUUID"]
    return {
        "results": results,
        "response": await told(client.get_response({"taskUUID": task_uuid})),
        "details": await told(client.get_task_details({"taskUUID": task_uuid})),
        "unknown": await told(client.get_response({"taskUUID": unknown})),
        "account": await told(client.account_management({"operation": "getDetails"})),
    }


async def many(client: Any, *task_uuids: str) -> Any:
    """As many clips at once; of each, its own UUID and the Unix time at which the client learnt of its end."""

    async def one(task_uuid: str) -> Any:
        results = await client.run({**TEXT, "taskUUID": task_uuid})
        return {"taskUUID": results[0]["taskUUID"], "learnt_at": time.time()}

    return await asyncio.gather(*map(one, task_uuids))


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (text, two, clips, mistakes, twice, examples, uploads, references, chain, questions, many)
}


async def main(url: str, name: str, *arguments: str) -> None:
    is_socket = url.startswith("ws")
    way = {"transport": "websocket", "ws_base_url": url} if is_socket else {"transport": "rest", "http_base_url": url}

    async def play() -> Any:
        # Its waits before it tries again are shortened; its pauses between questions are not for us to choose.
        async with Runware(api_key="a-key", retry_delay=10, **way) as client:
            return await SCENARIOS[name](client, *arguments)

    print(json.dumps(await told(play())))  # noqa: T201 -- this is the answer


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
