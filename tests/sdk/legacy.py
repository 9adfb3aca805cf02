"""What a program that uses Runware's older Python client does. Run by the interpreter of `.venv-sdk-legacy`.

    python legacy.py WS_URL NAME [ARGUMENT...]

That client speaks by WebSocket only, and sends and waits in two steps. Prints one JSON value: what it returned, or what
it raised as `{"error": {...}}`. Nothing of this project is imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeAlias

from runware import IVideoInference, Runware  # type: ignore[import-not-found]
from runware.utils import RunwareAPIError  # type: ignore[import-not-found]

Scenario: TypeAlias = Callable[..., Awaitable[Any]]

TEXT = {
    "model": "klingai:kling@o1-standard",
    "positivePrompt": "A tram climbs through autumn trees",
    "width": 1280,
    "height": 720,
    "duration": 5,
    "includeCost": True,
}


async def told(answer: Awaitable[Any]) -> Any:
    """What a call returns, or the client's own account of its error."""
    try:
        return await answer
    except RunwareAPIError as error:
        return {"error": error.error_data}
    except ConnectionError as error:
        return {"error": {"connection": str(error)}}


async def sent(client: Any, **fields: Any) -> Any:
    """The acknowledgement of one request; the results themselves where the client got these."""
    answer = await client.videoInference(IVideoInference(**{**TEXT, **fields}))
    return [asdict(result) for result in answer] if isinstance(answer, list) else asdict(answer)


async def text(client: Any, **fields: Any) -> Any:
    """One clip, or as many as `numberResults` says: its acknowledgement, and what is there in the end."""
    count = fields.get("numberResults", 1)

    async def both() -> Any:
        acknowledged = await sent(client, **fields)
        if isinstance(acknowledged, list):
            return {"acknowledged": None, "results": acknowledged}
        results = await client.getResponse(taskUUID=acknowledged["taskUUID"], numberResults=count)
        return {"acknowledged": acknowledged, "results": [asdict(result) for result in results]}

    return await told(both())


async def two(client: Any) -> Any:
    return await text(client, numberResults=2)


async def clips(client: Any, *requests: str) -> Any:
    """Several calls of `text` at once, each with the given fields."""
    return await asyncio.gather(*(text(client, **json.loads(request)) for request in requests))


async def mistakes(client: Any, *requests: str) -> Any:
    """Requests that no model accepts: each is TEXT with the given fields, where null takes a field away."""
    return await asyncio.gather(*(told(sent(client, **json.loads(request))) for request in requests))


async def uploads(client: Any, picture: str) -> Any:
    """A picture uploaded, and used as the first frame of a clip."""
    image = await client.uploadImage(picture)
    bare = {"width": None, "height": None, "inputs": {"frameImages": [{"image": image.imageUUID, "frame": "first"}]}}
    return {"image": asdict(image), "clip": await text(client, **bare)}


async def details(client: Any) -> Any:
    """A finished task, looked up."""
    made = await text(client)
    return {"made": made, "details": asdict(await client.getTaskDetails(made["acknowledged"]["taskUUID"]))}


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario for scenario in (text, two, clips, mistakes, uploads, details)
}


async def main(ws_url: str, name: str, *arguments: str) -> None:
    client = Runware(api_key="a-key", url=ws_url)

    async def play() -> Any:
        await client.connect()
        return await SCENARIOS[name](client, *arguments)

    print(json.dumps(await told(play())))  # noqa: T201 -- this is the answer
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
