"""What can be chosen about webhooks and upload endpoints: what is not documented of them, each way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from tasks.errors import SettingsError

__all__ = ["Reach", "Tries", "UploadEndpointSettings", "WebhookSettings", "is_here", "may_go_to"]

Reach = Literal["loopback", "any"]
"""Where is sent to: this machine's loopback addresses only, or wherever a task says."""

_HERE = re.compile(r"localhost|127(\.\d+){3}|::1", re.IGNORECASE)


def is_here(url: str) -> bool:
    """Whether a URL's host is this machine's loopback."""
    return _HERE.fullmatch(urlsplit(url).hostname or "") is not None


def may_go_to(url: str, to: Reach) -> bool:
    """Whether something may be sent to a URL."""
    return to == "any" or is_here(url)


@dataclass(frozen=True)
class Tries:
    """How often something is sent that is not answered with 2xx, and with what pauses between.

    Attributes:
        most: Times in all.
        first_pause_s: Seconds before the second try; they double from try to try.
        longest_pause_s: What they grow to at most.
        jitter: Up to this share of a pause is added to it, at random.
        timeout_s: Seconds within which an answer must have come.

    Raises:
        SettingsError: A value is negative, or there would be no try or no time at all.
    """

    most: int = 6
    first_pause_s: float = 0.25
    longest_pause_s: float = 8.0
    jitter: float = 0.1
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if self.most < 1 or self.timeout_s <= 0:
            raise SettingsError("the emulator would never send anything", advice="Give one try and some time at least.")
        if min(self.first_pause_s, self.longest_pause_s, self.jitter) < 0:
            raise SettingsError("a pause of the emulator's is negative", advice="Use 0 or more.")

    def pause_s(self, made: int, drawn: float) -> float:
        """Seconds between try number `made` (1 is the first) and the next one; `drawn` is from 0 to 1."""
        # Far more doublings than any pause survives; a float has room for these.
        usual_s = min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(made - 1, 60))
        return usual_s * (1 + self.jitter * drawn)


@dataclass(frozen=True)
class WebhookSettings:
    """How results are told to a task's `webhookURL`.

    Attributes:
        to: Where they may go.
        tries: How often, and with what pauses.
        success: The body: the result itself (`item`), or `{"data": [...]}` with it (`wrapped`).
        failure: The body of a failure: its error (`item`), `{"errors": [...]}` with it (`wrapped`), or no webhook.
        status: Whether result and error say their `status`.
    """

    to: Reach = "loopback"
    tries: Tries = field(default_factory=Tries)
    success: Literal["item", "wrapped"] = "item"
    failure: Literal["item", "wrapped", "none"] = "item"
    status: bool = True


@dataclass(frozen=True)
class UploadEndpointSettings:
    """How clips are put to a task's `uploadEndpoint`.

    Attributes:
        to: Where they may go.
        tries: How often, and with what pauses.
        content_type: What a clip is said to be: what it is (`media`), just bytes (`bytes`), or nothing (`none`).
        url: Whether the result has a `videoURL` all the same.
        waits: Whether the result is told only once the upload is over.
        failure: What becomes of a result whose upload was given up: it is told like any other (`ignored`), or it is
            an error, which costs nothing (`failed`) or what the clip costs (`charged`). Only one that waits can be.

    Raises:
        SettingsError: A result that does not wait would fail after it was told.
    """

    to: Reach = "loopback"
    tries: Tries = field(default_factory=lambda: Tries(timeout_s=60.0))
    content_type: Literal["media", "bytes", "none"] = "media"
    url: bool = True
    waits: bool = True
    failure: Literal["ignored", "failed", "charged"] = "ignored"

    def __post_init__(self) -> None:
        if self.failure != "ignored" and not self.waits:
            raise SettingsError(
                "a result of the emulator's could fail after it was told",
                advice="Let results wait for their uploads, or ignore uploads that fail.",
            )
