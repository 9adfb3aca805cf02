"""Processes that do the same at the same moment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["PROLOGUE", "Child", "race"]

Child = Callable[..., subprocess.Popen[str]]

PROLOGUE = """
import json, sys, time
from decimal import Decimal
from tasks.errors import OverBudget
from tasks.ledger import State, Wanted, open_ledger
from tasks.ledger.engine import connect
def want(key, price="0.42"):
    return Wanted(content_key=key, shot=key, take=1, model="kling", price_usd=Decimal(price), request={})
"""


def race(child: Child, program: str, arguments: Sequence[tuple[str, ...]], *, timeout_s: float = 50) -> list[Any]:
    """Start a process for each of `arguments`, let them go at the same moment, and read what each says.

    `program` has a line `GO`, before which each gets ready, and prints one line of JSON.
    """
    waits = "\nprint('ready', flush=True); sys.stdin.readline()\n"
    before, after = program.split("GO\n")
    children = [child(PROLOGUE + before + waits + after, *given) for given in arguments]
    for process in children:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in children:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=timeout_s)[0] for process in children]
    assert [process.returncode for process in children] == [0] * len(children)
    return [json.loads(text) for text in said]
