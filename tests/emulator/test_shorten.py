"""Media in a shown request are named, not repeated."""

from __future__ import annotations

from tasks.emulator.shorten import shorten


def test_data_uris_and_base64_are_cut_and_the_rest_stays() -> None:
    request = {
        "positivePrompt": "a tram " * 100,
        "inputs": {"frameImages": ["data:image/png;base64," + "A" * 5000, {"image": "B" * 5000, "frame": "last"}]},
        "duration": 5,
    }

    shown = shorten(request)

    assert shown["positivePrompt"] == request["positivePrompt"]
    assert shown["duration"] == 5
    first, last = shown["inputs"]["frameImages"]
    assert first == "data:image/png;base64," + "A" * 16 + "... (5000 characters)"
    assert last == {"image": "B" * 16 + "... (5000 characters)", "frame": "last"}


def test_addresses_stay() -> None:
    assert shorten(["https://example.org/a.png", "aac49721-1964-481a-ae78-8a4e29b91402"]) == [
        "https://example.org/a.png",
        "aac49721-1964-481a-ae78-8a4e29b91402",
    ]
