"""What can be chosen about an emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tasks.emulator.delivery_settings import UploadEndpointSettings, WebhookSettings
from tasks.emulator.socket_settings import WebSocketSettings
from tasks.errors import SettingsError

__all__ = ["EmulatorSettings"]


@dataclass(frozen=True)
class EmulatorSettings:
    """How one emulator behaves.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        latency_s: Seconds from acceptance to success; rendering happens inside it. Several results of one task
            are spread over it. None: 2, or 0 where clips are instant.
        seed: Changes every picture and every result's seed.
        state_dir: Folder that keeps tasks, uploads and videos. None: a temporary folder, removed at stop.
        frames_per_second: Frame rate of generated clips, 1 to 120.
        extra_frame: Whether a clip of d seconds has round(d x rate) + 1 frames, as the model makes, or no +1.
        api_key: The only key that is accepted. None accepts any that is not empty.
        unknown_task_error: Answer `taskNotFound` to a poll for an unknown task, instead of an empty `data`.
        instant: Hand out shared clips of the right size, length and rate, which do not show what was asked for.
        faults: A fault plan, or the file that holds one; see `tasks.emulator.faults`.
        webhooks: Where webhooks go, what they say, and how often they are tried.
        upload_endpoints: Where clips are put, how often that is tried, and what becomes of a result without.
        websocket: What is told to whoever is connected, and for how long.

    Raises:
        SettingsError: A value is outside of what is said above.
    """

    host: str = "127.0.0.1"
    port: int = 0
    latency_s: float | None = None
    seed: int = 0
    state_dir: Path | None = None
    frames_per_second: Fraction | int = 24
    extra_frame: bool = True
    api_key: str | None = None
    unknown_task_error: bool = False
    instant: bool = False
    faults: Path | Mapping[str, Any] | None = None
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    upload_endpoints: UploadEndpointSettings = field(default_factory=UploadEndpointSettings)
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"the emulator's port is {self.port}", advice="Use 0 to 65535.")
        if not 0 <= self.result_after_s < float("inf"):
            raise SettingsError(f"the emulator's latency is {self.result_after_s} s", advice="Use 0 or more.")
        if not 1 <= self.frames_per_second <= 120:
            raise SettingsError(
                f"the emulator's frame rate is {self.frames_per_second}",
                advice="Use 1 to 120 frames a second.",
            )
        if self.api_key is not None and not self.api_key:
            raise SettingsError("the emulator's key is empty", advice="Give a key, or none to accept any.")

    @property
    def result_after_s(self) -> float:
        """Seconds from acceptance to success."""
        if self.latency_s is None:
            return 0.0 if self.instant else 2.0
        return self.latency_s

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(self.frames_per_second)

    def frame_count(self, duration_s: int) -> int:
        """Frames of a generated clip of `duration_s` seconds."""
        return int(duration_s * self.rate + Fraction(1, 2)) + self.extra_frame
