"""The process of a private Prefect server: `python -m flows.server.private PORT`.

It ends with whoever started it: standard input is a pipe that closes when that process is gone, however it went.
"""

from __future__ import annotations

import sys
import threading

import uvicorn


def main() -> None:
    """Serve Prefect's API on a port of this machine until standard input ends."""
    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)

    def watch() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
