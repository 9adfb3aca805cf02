"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Heed Ctrl-C, and let the children heed it, also where a shell began the tests in the background.

    Such a shell lets its children ignore SIGINT, and theirs after them; a command that is told to ignore it does so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
