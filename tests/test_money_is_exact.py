"""No float on any path of money: wherever a name speaks of dollars, its type is exact, and nothing is made inexact."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.runware.messages import parse_reply

ROOT = Path(__file__).parents[1]
# The emulator puts its prices on the wire as JSON numbers, as the provider does; whoever reads them makes no float.
WIRE = ROOT / "tasks" / "emulator" / "items.py"
SOURCES = sorted({path for room in ("tasks", "flows") for path in (ROOT / room).rglob("*.py")} - {WIRE})
MONEY = re.compile(r"(^|_)(usd|cost|costs|price|prices|budget|spent|held|sum)($|_)")
INEXACT = re.compile(r"\b(float|round|fsum|mean|true_divide)\b")


def speaks_of_money(name: str) -> bool:
    return bool(MONEY.search(name)) and not name.endswith(("_s", "_key", "_gb"))


def typed_names(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None, int]]:
    """Every parameter, annotated variable and function that a source names, with its type."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg, node.annotation, node.lineno
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.annotation, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.returns, node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_of_money_is_typed_or_made_a_float(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"line {line}: {name}: {ast.unparse(kind)}"
        for name, kind, line in typed_names(tree)
        if kind is not None and speaks_of_money(name) and re.search(r"\bfloat\b", ast.unparse(kind))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and INEXACT.fullmatch(ast.unparse(node.func).rpartition(".")[2]):
            names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            names |= {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
            if any(speaks_of_money(name) for name in names):
                wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert wrong == []


def test_it_finds_what_it_looks_for() -> None:
    tree = ast.parse("def pay(cost_usd: float, total: int) -> None: ...\nprice: float | None = None\n")
    found = [name for name, kind, _ in typed_names(tree) if kind is not None and "float" in ast.unparse(kind)]
    assert {name for name in found if speaks_of_money(name)} == {"cost_usd", "price"}
    assert not speaks_of_money("summary")
    assert not speaks_of_money("held_s")


def test_what_the_wire_calls_a_number_is_read_to_the_last_digit() -> None:
    exact = "0.1000000000000000055511151231257827"
    (result,) = parse_reply(
        200, f'{{"data": [{{"taskUUID": "a", "videoURL": "https://x.test/a.mp4", "cost": {exact}}}]}}'.encode()
    ).results_of("a")
    assert result.cost_usd == Decimal(exact)
