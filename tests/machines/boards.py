"""Storyboards for the machines: small films with a chain, a trim and a picture, a frame a second."""

from __future__ import annotations

import io

from PIL import Image

__all__ = ["BROKEN", "FRAMES", "PICTURE", "PRICE_USD", "TAKES", "board", "picture"]

TAKES = 3
"""Takes of each film; no two of all films ask for the same."""

FRAMES = 9
"""Frames of each film: 2 of the first shot, 5 of the second without the seam's, 2 of the third."""

PRICE_USD = "1.26"
"""What the takes of one film cost together."""

PICTURE = "pictures/harbor.png"
"""Where, seen from a storyboard, the picture lies that the third shot of each begins with."""

BROKEN = "title: broken\nshots: [{id: one, prompt: A lake, duration: much}]\n"


def board(name: str) -> str:
    """The storyboard of that title. Its prompts hold the name, by which the provider's tasks are told apart."""
    return (
        f"title: {name}\nfps: 1\nassets: {{harbor: {PICTURE}}}\nshots:\n"
        f"  - {{id: lake, prompt: 'A calm lake at dawn, seen by {name}', duration: 1}}\n"
        f"  - {{id: ripples, prompt: 'The lake ripples, seen by {name}', boundary: continue}}\n"
        f"  - {{id: harbor, prompt: 'Fog lifts over the harbor, seen by {name}', first_frame: harbor, duration: 1}}\n"
    )


def picture() -> bytes:
    """A picture that each storyboard's third shot begins with, as PNG."""
    content = io.BytesIO()
    Image.new("RGB", (1280, 720), (40, 90, 120)).save(content, format="PNG")
    return content.getvalue()
