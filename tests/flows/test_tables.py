"""Tables keep all that is in them, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.tables import plain_table, print_table

UUID = "25b964bf-aa25-41da-8d10-803ab309dcf3"
ROWS = [
    ("2026-11-30 21:35:48", "The kite", "field", "1", "$0.42", UUID),
    ("2026-11-30 21:35:49", "A [bold]box[/bold] of kites", "rope", "12", "", UUID.upper()),
]


def table() -> Table:
    made = plain_table(("when", "storyboard", "shot", "take", "held", "taskUUID"), right={"take", "held"})
    for row in ROWS:
        made.add_row(*(Text(cell) for cell in row))
    return made


def shown(width: int) -> list[str]:
    out = io.StringIO()
    print_table(Console(file=out, width=width, force_terminal=True, color_system=None), table())
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [10, 40, 70, 80, 90, 100, 120, 200])
def test_nothing_is_cut_off_and_no_word_is_broken(width: int) -> None:
    lines = shown(width)
    words = " ".join(lines).split()
    assert [word for row in ROWS for cell in row for word in cell.split() if word not in words] == []
    assert "…" not in "".join(lines)
    assert [line for line in lines if len(line) > width and "  " in line.strip()] == []  # what is longer is one cell


def test_what_has_room_is_a_table_with_a_line_a_row() -> None:
    header, first, second = shown(200)
    assert header.split() == ["when", "storyboard", "shot", "take", "held", "taskUUID"]
    assert (first.endswith(UUID), first.index("1  $0.42") - second.index("12")) == (True, 1)  # numbers end together


def test_what_is_a_little_too_wide_goes_on_in_the_next_line() -> None:
    lines = shown(95)
    assert max(map(len, lines)) <= 95
    assert len(lines) > len(ROWS) + 1
    assert lines[0].split() == ["when", "storyboard", "shot", "take", "held", "taskUUID"]


def test_where_no_table_fits_each_row_has_lines_of_its_own() -> None:
    assert shown(40) == [
        "2026-11-30 21:35:48",
        "  storyboard The kite  shot field",
        "  take 1  held $0.42",
        f"  taskUUID {UUID}",
        "2026-11-30 21:35:49",
        "  storyboard A [bold]box[/bold] of kites",
        "  shot rope  take 12",
        f"  taskUUID {UUID.upper()}",
    ]


def test_a_table_of_nothing_is_its_header() -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=80, force_terminal=True, color_system=None), plain_table(("shot", "take")))
    assert out.getvalue().split() == ["shot", "take"]
