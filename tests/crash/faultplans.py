"""Fault plans drawn by a seed, from every fault that the emulator can give."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FIELDS", "draw_faults"]

Draws = random.Random
_ASKING = ("poll", "details")
_POSTED = ("submit", "poll", "details")
_ALL = ("submit", "poll", "details", "download")


def _media(draws: Draws) -> dict[str, Any]:
    looks: list[dict[str, Any]] = [
        {"codec": draws.choice(["h264", "hevc", "vp9"])},
        {"container": "webm"},
        {"untagged": True},
        {"full_range": True},
        {"frame_rate": draws.choice([2, "30000/1001"])},
        {"frame_rate": 3, "variable_rate": True},
        {"frames": draws.randint(6, 9)},
        {"timescale": draws.choice([1000, 90_000])},
        {"hidden_frames": draws.randint(1, 3)},
        {"sound_longer_s": draws.choice([-0.5, 0.5])},
    ]
    return draws.choice(looks)


def _refuse(draws: Draws) -> dict[str, Any]:
    call = draws.choice(_POSTED)
    refusals = [
        ("invalidParameter", 400),
        ("rateLimitExceeded", 429),
        ("insufficientCredits", 402),
        ("invalidApiKey", 401),
        ("moonInTheWrongHouse", 400),
    ]
    if call == "submit":
        # In an answer about a task this says that the task itself is over, and a provider's word for that is taken.
        refusals.append(("inferenceError", 400))
    code, status = draws.choice(refusals)
    return {"call": call, "code": code, "status": status}


def _fail(draws: Draws) -> dict[str, Any]:
    code = draws.choice(["providerInternalError", "timeoutProvider", "contentPolicyViolation", "moonInTheWrongHouse"])
    return {"code": code, "charged": draws.random() < 0.5, "after_s": draws.choice([0, 0.1])}


def _status(draws: Draws) -> dict[str, Any]:
    status = draws.choice([408, 429, 500, 502, 503, 504])
    return {"call": draws.choice(_ALL), "status": status, "accept": draws.random() < 0.4}


FIELDS: Mapping[str, Callable[[Draws], dict[str, Any]]] = {
    "refuse": _refuse,
    "refuse_content": lambda draws: {"after_s": 0.05, "charged": draws.random() < 0.5} if draws.random() < 0.5 else {},
    "status": _status,
    "drop_request": lambda draws: {"call": draws.choice(_ALL)},
    "drop_reply": lambda draws: {"call": draws.choice(_POSTED)},
    "hang": lambda draws: {"call": draws.choice(_ALL), "after_s": draws.choice([0.2, 0.6])},
    "drip": lambda draws: {"call": draws.choice(_ALL), "over_s": 0.3},
    "refuse_batches": lambda draws: {"most": draws.randint(1, 2)},
    "lose_task": lambda draws: {"call": draws.choice(_ASKING)},
    "unknown_task": lambda draws: {"call": draws.choice(_ASKING)},
    "empty_errors": lambda draws: {"call": draws.choice(_POSTED)},
    "mixed_errors": lambda draws: {"call": draws.choice(_POSTED)},
    "truncate": lambda draws: {"keep": draws.uniform(0, 0.95), "announce_whole": draws.random() < 0.5},
    "corrupt": lambda draws: {"share": draws.uniform(0.05, 0.5)},
    "not_a_video": lambda _: {},
    "fail": _fail,
    "stuck": lambda _: {},
    "cost": lambda draws: {"cost_usd": draws.choice(["0.50", "0.000001", "0.42", "0"])},
    "nsfw": lambda _: {},
    "expire": lambda draws: {
        "status": draws.choice([404, 410]),
        "after_downloads": draws.randint(0, 1),
        "addresses": draws.randint(1, 3),
        "forget": draws.random() < 0.3,
    },
    "media": _media,
}
"""The fields of each fault, drawn."""


def draw_faults(draws: Draws, takes: int) -> list[dict[str, Any]]:
    """Two to six rules for a film of so many takes. Over many seeds every fault is drawn."""
    rules = []
    for _ in range(draws.randint(2, 6)):
        name = draws.choice(list(FIELDS))
        rule = {"fault": name, **FIELDS[name](draws)}
        # Which calls it meets: those about one task, a share of all, or the first few.
        match draws.randrange(3):
            case 0:
                rule |= {"nth": draws.randint(1, takes), "times": draws.randint(1, 3)}
            case 1:
                rule |= {"rate": 0.3}
            case _:
                rule |= {"skip": draws.randint(0, 4), "times": draws.randint(1, 4)}
        rules.append(rule)
    return rules
