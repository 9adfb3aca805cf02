"""A browser that plays films, and a server that gives them to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.browser import chromium, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are of the browser."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(240))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as the base class calls it
        """Say nothing."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which the browser finds what is in it."""
    chromium()  # without one, nothing is started
    folder = tmp_path_factory.mktemp("served")
    copyfile(Path(__file__).with_name("player.html"), folder / "player.html")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.fixture(scope="session")
def browser(served: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The browser's page."""
    with open_browser(tmp_path_factory.mktemp("profile"), served[1]) as page:
        yield page


@pytest.fixture
def player(browser: Page, served: tuple[Path, str]) -> Page:
    """The page, with a player that has no film yet."""
    browser.goto(f"{served[1]}/player.html")
    return browser
