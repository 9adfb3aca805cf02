"""`shotchain webhook`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import LedgerUrl

__all__ = ["webhook"]


def webhook(
    *,
    host: Annotated[str, Parameter(help="Address of this machine to listen at.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen at; 0 for any free one.")] = 8788,
    path: Annotated[str, Parameter(help="What SHOTCHAIN_WEBHOOK_URL has behind its host, as it arrives here.")] = "",
    ledger: LedgerUrl = None,
) -> None:
    """Receive results that the provider reports, for runs on any machine that share the ledger.

    Put it behind what ends TLS, and set SHOTCHAIN_WEBHOOK_URL and SHOTCHAIN_WEBHOOK_SECRET for it and for all runs.
    """
    from flows.webhook import serve
    from tasks.settings import resolve_settings, webhook_secret

    secret = webhook_secret(os.environ)
    settings = resolve_settings(ledger=ledger, needs_key=False)
    number = serve(
        settings.ledger,
        secret,
        host=host,
        port=port,
        path=f"/{path.strip('/')}" if path.strip("/") else "",
        ready=lambda url: print(f"shotchain webhook: {url} (end with Ctrl-C)", flush=True),  # noqa: T201
    )
    if number is not None:
        sys.exit(128 + number)
