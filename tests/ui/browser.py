"""Chromium without a window, and what a person does in Prefect's UI with it: open, fill in, press, look."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

WIDTH, HEIGHT = 1600, 1000
# In milliseconds: something on a page, and something that a run has to do first.
SOON_MS, RUN_MS = 20_000, 90_000
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """The browser: what CHROMIUM names, else Chromium; a failure that says what to do where there is none."""
    wanted = os.environ.get("CHROMIUM", "")
    found = shutil.which(wanted or "chromium") or (None if wanted else shutil.which("chromium-browser"))
    if found is None:
        pytest.fail(f"There is no browser{f' {wanted}' if wanted else ''}. Run: make test-ui", pytrace=False)
    return found


@contextmanager
def open_browser(profile: Path, address: str) -> Iterator[Page]:
    """One empty page of a browser with an empty profile, which reaches the server at `address` and nothing else."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("Playwright is not installed. Run: make test-ui", pytrace=False)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium(),
            headless=True,
            args=list(_FLAGS),
            viewport={"width": WIDTH, "height": HEIGHT},
        )
        try:
            context.set_default_timeout(SOON_MS)
            context.route(lambda url: not url.startswith((address, "data:", "blob:")), lambda route: route.abort())
            yield context.pages[0]
        finally:
            context.close()


class Screen:
    """The page that a person sees, and the pictures that are kept of it.

    Args:
        page: The browser's.
        address: The UI's.
        folder: Where pictures go.
    """

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page = page
        self._address = address
        self._folder = folder
        self._count = 0

    def keep(self, name: str, *, whole: bool = False) -> Path:
        """Keep a picture of what is seen now; with `whole`, of the page to its end. Gives where it is."""
        self._count += 1
        file = self._folder / f"{self._count:02d}-{name}.png"
        self.page.screenshot(path=file, full_page=whole)
        return file

    def open(self, path: str = "/") -> None:
        """Go to a page, by its path."""
        self.page.goto(f"{self._address}{path}")

    def sees(self, what: Locator, *, within_ms: int = SOON_MS) -> Locator:
        """Wait until this is seen, and give it."""
        what.first.wait_for(state="visible", timeout=within_ms)
        return what.first

    def reads(self, text: str | re.Pattern[str], *, within_ms: int = SOON_MS) -> Locator:
        """Wait until this is read somewhere in the main part of the page, and give where."""
        return self.sees(self.main.get_by_text(text), within_ms=within_ms)

    @property
    def main(self) -> Locator:
        """The page without its menu."""
        return self.page.get_by_role("main")

    @property
    def words(self) -> str:
        """All that is read in the main part of the page, blanks as one."""
        return " ".join(self.main.inner_text().split())

    def open_deployment(self, name: str) -> None:
        """From the front page to the page of a deployment."""
        self.open()
        self.page.get_by_role("link", name="Deployments").click()
        of_deployments = self.page.locator("a[href*='/deployments/deployment/']")  # flows have the same names
        self.main.get_by_role("link", name=name, exact=True).and_(of_deployments).click()

    def open_form(self, deployment: str) -> None:
        """From the front page to the form of a deployment, as `render`, by «Custom run»."""
        self.open_deployment(deployment)
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.sees(self.main.get_by_role("button", name="Select provider"))

    def fill(self, **values: str) -> None:
        """Fill in fields of the form that is open, by the names of their parameters."""
        for name, value in values.items():
            field = self.page.get_by_label(name, exact=True)
            if field.count() == 0:
                field = self._optional(name)
            field.fill(value)

    def submit(self) -> Run:
        """Submit the form, and go to the page of the run that it begins."""
        self.page.get_by_role("button", name="Submit").click()
        self.page.get_by_role("link", name="View run").click()
        self.page.wait_for_url("**/runs/flow-run/*")
        found = re.search(r"/runs/flow-run/([0-9a-f-]{36})", self.page.url)
        assert found is not None, self.page.url
        return Run(self, found[1])

    def _optional(self, name: str) -> Locator:
        """The text of a field that may be left out: it opens under the tab of its type."""
        named = self.page.get_by_text(f"{name} (Optional)", exact=True)
        tab = self.page.get_by_role("tab", name="str", exact=True)
        field = self.page.locator("div").filter(has=named).filter(has=tab).last
        field.get_by_role("tab", name="str", exact=True).click()
        return field.get_by_role("textbox")


class Run:
    """The pages of one run.

    Args:
        screen: Where they are seen.
        id: The run's.
    """

    def __init__(self, screen: Screen, id: str) -> None:  # noqa: A002 -- as Prefect calls it
        self._screen = screen
        self.id = id

    def open(self, tab: str) -> None:
        """Its page, as it is now, with one of its tabs."""
        self._screen.open(f"/v2/runs/flow-run/{self.id}")
        self._screen.page.get_by_role("tab", name=tab, exact=True).click()

    def becomes(self, state: str) -> None:
        """Wait until its page says that it is in this state, without loading it anew."""
        self._screen.sees(self._screen.main.get_by_text(state, exact=True), within_ms=RUN_MS)

    def answer_form(self) -> Locator:
        """Open the form by which a paused run is resumed, and give it."""
        page = self._screen.page
        self._screen.main.get_by_role("button", name="Open menu").first.click()
        page.get_by_role("menuitem", name="Resume").click()
        return self._screen.sees(page.get_by_role("dialog", name="Resume Flow Run"))

    def answer(self, answer: str, **texts: str) -> None:
        """Fill in the form that is open, `texts` by label, and send it."""
        page = self._screen.page
        form = page.get_by_role("dialog", name="Resume Flow Run")
        form.get_by_role("button", name="Select Answer").click()
        page.get_by_role("option", name=answer, exact=True).click()
        for label, text in texts.items():
            form.get_by_label(label).fill(text)
        self._screen.keep(f"answer-{answer}")
        form.get_by_role("button", name="Resume", exact=True).click()
        form.wait_for(state="hidden")

    def artifact_card(self, key: str) -> Locator:
        """What the tab «Artifacts» shows of an artifact."""
        page = self._screen.page
        return page.get_by_role("link").filter(has=page.get_by_role("heading", name=key, exact=True))

    def watch(self, key: str, text: re.Pattern[str]) -> None:
        """Load the tab «Artifacts» anew, which does not keep up by itself, until the card of `key` says this."""
        deadline = time.monotonic() + RUN_MS / 1000
        while True:
            self.open("Artifacts")
            card, said = self.artifact_card(key), "nothing"
            for _ in range(10):  # the card comes after the tab, and its words after its heading
                if card.count() and text.search(said := card.first.inner_text()):
                    return
                self._screen.page.wait_for_timeout(200)
            assert time.monotonic() < deadline, f"{key} says: {said}"

    def open_artifact(self, key: str) -> None:
        """From the tab «Artifacts» to what this run left under `key`: by its card, then by the version that is its."""
        self.open("Artifacts")
        self.artifact_card(key).click()
        page = self._screen.page
        of_this_run = page.locator(f"a[href$='/runs/flow-run/{self.id}']")
        version = page.locator("a[href*='/artifacts/artifact/']")
        # The smallest part of the page that has both is the entry of this run.
        page.locator("div").filter(has=of_this_run).filter(has=version).last.locator(version).first.click()
        page.wait_for_url("**/artifacts/artifact/*")
