"""A producer at Prefect's UI: fills in the form, is asked for the money, watches the film being made, and sees it."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from prefect.utilities.callables import parameter_schema

from flows.render import render
from tasks.ledger import Answer, open_ledger
from tests.ui.browser import Run, Screen
from tests.ui.conftest import Studio

HARBOUR = """\
title: Harbour at dawn
size: 1280x720
defaults: {duration: 5}
shots:
  - id: pier
    prompt: A fishing boat leaves a foggy pier at dawn.
  - id: pier-wide
    boundary: continue
    prompt: The camera rises and shows the whole harbour.
  - id: gulls
    prompt: Gulls circle over bright water.
"""
DUNES = """\
title: Dunes by night
size: 1280x720
defaults: {duration: 5}
shots:
  - id: dune
    prompt: Moonlight over a dune.
  - id: fox
    prompt: A fox looks up.
"""
HARBOUR_USD, SHOT_USD = Decimal("1.26"), Decimal("0.42")


@pytest.fixture(scope="module")
def harbour(screen: Screen, studio: Studio) -> Run:
    """A run that has asked for its money: it was begun by the form, and is paused."""
    screen.open_form("render")
    screen.fill(
        storyboard=HARBOUR,
        output=str(studio.folder / "films" / "harbour.mp4"),
        base_url=studio.base_url,
        approve_above_usd="1.00",
    )
    screen.keep("form-filled", whole=True)
    run = screen.submit()
    run.becomes("Paused")
    screen.keep("run-paused")
    return run


@pytest.fixture(scope="module")
def film(harbour: Run, screen: Screen) -> Run:
    """The same run, approved: it has made its film."""
    harbour.open("Logs")
    screen.sees(harbour.answer_form().get_by_role("table"))
    screen.keep("question")
    harbour.answer("approve", Note="Looks right.", Name="Ada")
    harbour.becomes("Running")
    harbour.watch("shotchain-progress", re.compile(r"[12] of 3 shots done"))
    screen.keep("run-under-way")
    harbour.becomes("Completed")  # this the page learns by itself
    return harbour


def test_the_newest_ui_lists_the_deployments(screen: Screen) -> None:
    screen.open()
    screen.page.wait_for_url("**/v2/dashboard*")
    screen.page.get_by_role("link", name="Deployments").click()

    for name in ("batch", "estimate", "previs", "recover", "render", "render-nightly"):
        screen.sees(screen.main.get_by_role("link", name=name, exact=True))
    screen.keep("deployments")


def test_a_deployment_says_what_it_is_for(screen: Screen) -> None:
    screen.open_deployment("render")
    screen.page.get_by_role("tab", name="Description").click()

    screen.reads("A storyboard to a published film. What is paid is never paid again.")
    screen.keep("description")


def test_the_form_explains_every_parameter(screen: Screen) -> None:
    screen.open_form("render")
    screen.keep("form", whole=True)

    words = screen.words
    for name, field in parameter_schema(render.fn).model_dump()["properties"].items():
        assert name in words
        assert " ".join(field["description"].split()) in words, name


def test_the_form_of_a_previs_has_the_emulator_chosen(screen: Screen) -> None:
    screen.open_form("previs")

    assert screen.page.get_by_role("button", name="Select provider").inner_text() == "emulator"


def test_a_run_above_the_sum_asks_and_takes_no_empty_answer(harbour: Run, screen: Screen, studio: Studio) -> None:
    harbour.open("Logs")
    form = harbour.answer_form()
    screen.sees(form.get_by_role("table"))

    asked = " ".join(form.inner_text().split())
    assert f"Harbour at dawn would spend ${HARBOUR_USD}; up to $1.00 needs no approval." in asked
    assert f"pier-wide 1 0 ${SHOT_USD}" in asked
    form.get_by_role("button", name="Resume", exact=True).click()
    screen.sees(screen.page.get_by_text("'answer' is a required property"))
    form.get_by_role("button", name="Cancel").click()
    harbour.becomes("Paused")
    assert studio.books()["counts"]["videoInference"] == 0


def test_an_approved_run_is_paid_once_and_the_answer_is_kept(film: Run, studio: Studio) -> None:
    books = studio.books()
    assert Decimal(books["total_usd"]) == HARBOUR_USD
    assert [task["state"] for task in books["tasks"]] == ["success"] * 3
    ledger = open_ledger(str(studio.ledger))
    try:
        (given,) = ledger.approvals(film.id)
    finally:
        ledger.close()
    assert (given.answer, given.who, given.note, given.sum_usd) == (
        Answer.APPROVED,
        "Ada",
        "Looks right.",
        HARBOUR_USD,
    )
    assert (studio.folder / "films" / "harbour.mp4").stat().st_size > 0
    assert (studio.folder / "films" / "harbour.manifest.json").is_file()


def test_a_rejected_run_spends_nothing_and_says_so(film: Run, screen: Screen, studio: Studio) -> None:
    before = studio.books()
    screen.open_form("render")
    screen.fill(
        storyboard=DUNES,
        output=str(studio.folder / "films" / "dunes.mp4"),
        base_url=studio.base_url,
        approve_above_usd="0.50",
    )
    run = screen.submit()
    run.becomes("Paused")
    run.open("Logs")
    run.answer_form()
    run.answer("reject", Note="Too dark.", Name="Ada")
    run.becomes("Failed")
    run.open("Details")
    screen.reads(re.compile("was not approved"))
    screen.keep("run-rejected", whole=True)

    assert studio.books() == before
    ledger = open_ledger(str(studio.ledger))
    try:
        assert [(it.answer, it.note) for it in ledger.approvals(run.id)] == [(Answer.REJECTED, "Too dark.")]
        assert ledger.attempts(run_id=run.id) == []
    finally:
        ledger.close()
    assert not (studio.folder / "films" / "dunes.mp4").exists()
    assert run.id != film.id


def test_the_log_tells_the_steps(film: Run, screen: Screen) -> None:
    film.open("Logs")
    screen.reads(re.compile("pier: generating"))
    screen.keep("log")
    screen.page.get_by_role("combobox", name="log sort order").click()
    screen.page.get_by_role("option", name="Newest to oldest").click()

    screen.reads(re.compile(r"film: published to .*harbour\.mp4, 362 frames, \$1\.26"))
    screen.keep("log-end")


def test_the_run_page_draws_what_ran(film: Run, screen: Screen) -> None:
    film.open("Artifacts")
    screen.sees(screen.main.locator("canvas"))
    for key in ("plan", "graph", "progress", "budgets", "shots", "bill", "film", "contact-sheet"):
        screen.sees(film.artifact_card(f"shotchain-{key}"))
    screen.keep("run-page", whole=True)


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        ("plan", ["pier text cut – 5 5 121 1 $0.42", "pier-wide frames continue pier 5 5 120 1 $0.42"]),
        ("shots", ["pier generated 1 of 1 $0.42 –", "gulls generated 1 of 1 $0.42 –"]),
        ("budgets", ["this run forever $1.26 $1.26 $0.00 $0.00 $0.00 $0.00"]),
        ("bill", ["pier 1 no $0.42"]),
    ],
)
def test_a_table_shows_its_rows(film: Run, screen: Screen, key: str, rows: list[str]) -> None:
    film.open_artifact(f"shotchain-{key}")
    screen.sees(screen.main.get_by_role("table"))
    screen.keep(key)

    for row in rows:
        assert row in screen.words


def test_the_progress_is_complete(film: Run, screen: Screen) -> None:
    film.open_artifact("shotchain-progress")
    screen.reads("Progress: 100%")
    screen.reads("3 of 3 shots done; published")


def test_the_graph_is_drawn(film: Run, screen: Screen) -> None:
    film.open_artifact("shotchain-graph")
    drawn = screen.sees(screen.main.locator("svg").filter(has_text="pier-wide"))
    screen.keep("graph")

    box = drawn.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) > 50
    assert all(shot in (drawn.text_content() or "") for shot in ("pier", "pier-wide", "gulls"))


def test_the_film_says_where_it_is(film: Run, screen: Screen, studio: Studio) -> None:
    film.open_artifact("shotchain-film")
    screen.reads(str(studio.folder / "films" / "harbour.mp4"))
    screen.keep("film")

    assert "15.083 s, 362 frames, 1280 × 720, $1.26" in screen.words


def test_the_contact_sheet_shows_both_ends_of_each_shot(film: Run, screen: Screen) -> None:
    film.open_artifact("shotchain-contact-sheet")
    pictures = screen.main.get_by_role("table").locator("img")
    screen.sees(pictures)
    screen.keep("contact-sheet")

    drawn = pictures.evaluate_all("all => all.map(it => [it.complete, it.naturalWidth, it.width])")
    assert drawn == [[True, 160, 160]] * 6
