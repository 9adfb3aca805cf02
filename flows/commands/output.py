"""Where commands write: tables to a console, or one JSON object to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["console", "print_json"]


def console(*, stderr: bool = False) -> Any:
    """A console for people, on stdout, or on stderr."""
    from flows.display import console_on

    return console_on(stderr=stderr)


def print_json(value: Any) -> None:
    """Print one JSON object, alone, on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
