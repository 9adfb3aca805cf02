"""The JSON Schema of storyboard files, for editors: completion, hints and red lines while typing."""

from __future__ import annotations

from typing import Any, Final

from tasks.storyboard.document import StoryboardDocument

__all__ = ["storyboard_schema"]

_EXAMPLES: Final[list[dict[str, Any]]] = [
    {
        "title": "One shot",
        "shots": [{"id": "sea", "prompt": "Waves roll onto a beach at dawn", "duration": 5}],
    },
    {
        "title": "Harbour to lanterns",
        "size": "1280x720",
        "style": "blue hour, 35 mm film grain",
        "assets": {"harbour": "pictures/harbour.png", "lanterns": "https://example.com/lanterns.jpg"},
        "defaults": {"duration": 5},
        "shots": [
            {
                "id": "arrive",
                "prompt": "The camera glides into a foggy harbour",
                "first_frame": "harbour",
                "last_frame": "lanterns",
            },
            {"id": "drift", "prompt": "It drifts on between lanterns", "boundary": "continue"},
            {
                "id": "flashback",
                "prompt": "The same harbour, long ago",
                "first_frame": {"shot": "arrive", "frame": "first"},
                "takes": 2,
                "select": 2,
            },
            {
                "id": "painted",
                "prompt": "Turn the scene into an oil painting",
                "duration": None,
                "video": {"shot": "arrive"},
                "keep_original_sound": True,
            },
        ],
    },
]


def storyboard_schema() -> dict[str, Any]:
    """The schema, JSON Schema draft 2020-12.

    It holds what one file can show by itself; that names and files exist, only reading the storyboard tells.
    """
    schema = StoryboardDocument.model_json_schema()
    prompted = {"required": ["defaults"], "properties": {"defaults": {"required": ["prompt"]}}}
    every_shot = {"properties": {"shots": {"items": {"required": ["prompt"]}}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "shotchain storyboard",
        # A prompt in the defaults is every shot's; otherwise each needs its own.
        "if": {"not": prompted},
        "then": every_shot,
        "examples": _EXAMPLES,
    }
