"""Tables on a terminal of any width: nothing in them is cut off."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

__all__ = ["plain_table", "print_table"]

_GAP = 2
_INDENT = "  "


def plain_table(names: Iterable[str] = (), *, right: Container[str] = ()) -> Table:
    """A table without lines, of some columns; `right` are those of them that hold numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in right else "left")
    return table


def print_table(console: Console, table: Table) -> None:
    """Show a table whole: as wide as it is in a file or pipe, else within the terminal.

    Where it does not fit, cells go on in the next line between words. Where a word would have to be cut (a UUID that
    somebody copies, a path), there is no table: each row has lines of its own, its first cell above the others.
    """
    ranges = [_width(console, column) for column in table.columns]
    gaps = len(ranges) - 1
    if not console.is_terminal or sum(it.maximum for it in ranges) + _GAP * gaps <= console.width:
        console.print(table)
        return
    spare = console.width - gaps - sum(it.minimum for it in ranges)
    if spare < 0:
        for line in _records(console, table):
            console.print(line, soft_wrap=True, highlight=False)
        return
    if spare < gaps:
        table.padding = (0, 1, 0, 0)
    else:
        spare -= gaps
    # Narrow columns first: what they lack is little.
    for column, it in sorted(zip(table.columns, ranges, strict=True), key=lambda pair: pair[1].span):
        more = min(it.span, spare)
        column.width = it.minimum + more
        spare -= more
    console.print(table)


def _width(console: Console, column: Column) -> Measurement:
    """The width of a column whose words are whole, and of one whose cells are lines."""
    cells = [_text(console, cell) for cell in (column.header, *column.cells)]
    lines = max(line.cell_len for cell in cells for line in cell.split(allow_blank=True))
    words = max((Text(word).cell_len for cell in cells for word in cell.plain.split()), default=0)
    return Measurement(lines if column.no_wrap else words, lines)


def _text(console: Console, cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell), highlight=False)


def _records(console: Console, table: Table) -> Iterator[Text]:
    """Lines that say a table row by row: as many cells a line as fit, each behind the name of its column."""
    names = [_text(console, column.header).plain for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = (_text(console, cell) for cell in row)
        first.stylize("bold")
        yield first
        line = Text()
        for name, cell in zip(names[1:], others, strict=True):
            if not cell:
                continue
            pair = Text.assemble((f"{name} ", "dim"), cell) if name else cell
            if line and line.cell_len + _GAP + pair.cell_len > console.width:
                yield line
                line = Text()
            line = Text.assemble(line, " " * _GAP if line else _INDENT, pair)
        if line:
            yield line
