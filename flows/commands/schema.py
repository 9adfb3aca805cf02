"""`shotchain schema`."""

from __future__ import annotations

from flows.commands.output import print_json

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of storyboards, for editors."""
    from tasks.storyboard.schema import storyboard_schema

    print_json(storyboard_schema())
