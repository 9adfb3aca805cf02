"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """Heed Ctrl-C, and let the children heed it, also where a shell began the tests in the background.

    Such a shell lets its children ignore SIGINT, and theirs after them; a command that is told to ignore it does so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of each test that is thorough and has several cases, one is quick: `make test` sees every rule at work once."""
    seen: set[str] = set()
    for item in items:
        rule = item.nodeid.partition("[")[0]
        if rule != item.nodeid and rule not in seen and item.get_closest_marker("thorough"):
            seen.add(rule)
            item.add_marker(pytest.mark.quick)
