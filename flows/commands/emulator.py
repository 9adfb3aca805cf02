"""`shotchain emulator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["emulator"]


def emulator(
    *,
    port: Annotated[int, Parameter(help="Port on this machine; 0 for any free one.")] = 8787,
    latency: Annotated[
        float | None, Parameter(help="Seconds from acceptance to result; without it 2, or 0 if instant.")
    ] = None,
    seed: Annotated[int, Parameter(help="Decides the pictures.")] = 0,
    state: Annotated[Path | None, Parameter(help="Folder in which tasks outlive the server.")] = None,
    frames_per_second: Annotated[int, Parameter(help="Rate of the clips.")] = 24,
    extra_frame: Annotated[bool, Parameter(help="Whether a 5 s clip has 121 frames rather than 120.")] = True,
    instant: Annotated[
        bool, Parameter(negative="", help="Results at once, from shared clips that do not show what was asked for.")
    ] = False,
    faults: Annotated[Path | None, Parameter(help="A fault plan: what goes wrong, and when (YAML or JSON).")] = None,
    webhooks_to: Annotated[
        Literal["loopback", "any"], Parameter(help="Where webhooks may go: to this machine only, or anywhere.")
    ] = "loopback",
    uploads_to: Annotated[
        Literal["loopback", "any"], Parameter(help="Where clips may be uploaded: to this machine only, or anywhere.")
    ] = "loopback",
) -> None:
    """Serve the Runware API on this machine, with placeholder clips: develop without a key, for free."""
    from tasks.emulator.delivery_settings import UploadEndpointSettings, WebhookSettings
    from tasks.emulator.server import serve
    from tasks.emulator.settings import EmulatorSettings

    settings = EmulatorSettings(
        port=port,
        latency_s=latency,
        seed=seed,
        state_dir=state,
        frames_per_second=frames_per_second,
        extra_frame=extra_frame,
        instant=instant,
        faults=faults,
        webhooks=WebhookSettings(to=webhooks_to),
        upload_endpoints=UploadEndpointSettings(to=uploads_to),
    )
    number = serve(settings, lambda url: print(f"Runware emulator: {url} (end with Ctrl-C)", flush=True))  # noqa: T201
    if number is not None:
        sys.exit(128 + number)
