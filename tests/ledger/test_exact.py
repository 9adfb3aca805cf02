"""No float comes near money: not in what is kept, not in what is given or taken, not in the code between."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger

from tasks.errors import OverBudget
from tasks.ledger import (
    Approval,
    Attempt,
    BudgetState,
    Ledger,
    Limits,
    Reuse,
    Run,
    StandingBudget,
    State,
    Sums,
    Totals,
    Wanted,
)
from tasks.ledger.schema import METADATA

LEDGER = Path(__file__).parents[2] / "tasks" / "ledger"
RECORDS = [Approval, Attempt, BudgetState, Limits, Reuse, Run, StandingBudget, Sums, Totals, Wanted]
# Where a float is meant, it is of time: how long a lease lasts, how long somebody waits.
TIMERS = {"leases.py", "heartbeat.py", "engine.py"}


def amounts_of(kind: type) -> Iterator[str]:
    yield from (field.name for field in dataclasses.fields(kind) if field.name.endswith("_usd"))
    yield from (name for name, value in vars(kind).items() if name.endswith("_usd") and isinstance(value, property))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_amount_of_a_record_is_a_decimal(kind: type) -> None:
    hints = typing.get_type_hints(kind)
    for name in amounts_of(kind):
        value = inspect.getattr_static(kind, name, None)
        hint = typing.get_type_hints(value.fget)["return"] if isinstance(value, property) else hints[name]
        assert hint in (Decimal, Decimal | None), name


def test_every_amount_that_a_ledger_takes_is_a_decimal() -> None:
    taken = []
    for _, method in inspect.getmembers(Ledger, inspect.isfunction):
        hints = typing.get_type_hints(method)
        taken += [hints[name] for name in hints if name.endswith("_usd")]
    assert len(taken) >= 7
    assert all(hint in (Decimal, Decimal | None) for hint in taken)


def test_every_amount_in_the_database_is_a_whole_number() -> None:
    columns = [column for table in METADATA.tables.values() for column in table.c if column.name.endswith("_micro")]
    assert len(columns) >= 9
    assert all(isinstance(column.type, BigInteger) for column in columns)


@pytest.mark.parametrize("path", sorted(LEDGER.rglob("*.py")), ids=lambda path: path.stem)
def test_no_code_makes_a_float(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{node.lineno}: {node.value}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            is_path = path.name == "upgrade.py"  # folder / "migrations"
            found += [] if is_path else [f"{node.lineno}: a division"]
        elif isinstance(node, ast.Name) and node.id in {"float", "Float", "Numeric", "Real", "Double"}:
            found.append(f"{node.lineno}: {node.id}")
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.name in TIMERS or path.name in {"ledger.py", "questions.py"}:
        found = [it for it in found if not any(word in lines[int(it.split(":")[0]) - 1] for word in ("_s", "sleep"))]
    assert found == []


def floats_in(value: Any) -> Iterator[Any]:
    if isinstance(value, float):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from floats_in(getattr(value, field.name))
        for name in amounts_of(type(value)):
            yield from floats_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from floats_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from floats_in(item)


def test_nothing_that_a_ledger_gives_holds_a_float(
    ledger: Ledger, begin: Callable[..., str], attempt_in: Callable[..., Attempt], want: Callable[..., Wanted]
) -> None:
    begin(budget="9.99", shot_budget_usd=Decimal("5.01"), budgets=[StandingBudget("studio", Decimal("0.85"))])
    attempt_in(State.STORED, key="a", cost_usd=Decimal("0.410001"), result={"cost": Decimal("0.410001")})
    attempt_in(State.ACCEPTED, key="b")
    ledger.record_reuse("run", [Reuse("c", "c", 1, "kling", Decimal("0.1"))])
    ledger.record_approval(
        "run", provider="emulator", fingerprint="f", sum_usd=Decimal("0.3"), answer="approved", who="ann", how="--yes"
    )
    with pytest.raises(OverBudget) as refused:
        ledger.reserve("run", [want("d")])
    given = [
        ledger.attempts(),
        ledger.runs(),
        ledger.totals("run"),
        ledger.sums(["run", "month"]),
        ledger.budget_states("emulator", "run"),
        [state.as_dict() for state in ledger.budget_states("emulator", "run")],
        ledger.approvals("run"),
        ledger.approved_sum("emulator", "f", "run"),
        vars(refused.value),
        refused.value.as_dict(),
    ]
    assert list(floats_in(given)) == []


def test_the_arithmetic_of_whoever_calls_does_not_matter(
    ledger: Ledger, begin: Callable[..., str], want: Callable[..., Wanted]
) -> None:
    with localcontext() as context:
        context.prec = 3  # 123456.789012 would be 123000
        begin(budget="123456.789012", budgets=[StandingBudget("studio", Decimal("123456.789012"))])
        ledger.reserve("run", [want("a", price="123456.789011"), want("b", price="0.000001")])
        for state in ledger.budget_states("emulator", "run"):
            assert str(state.held_usd) == "123456.789012"
            assert str(state.room_usd) == "0.00"
        (whole,) = ledger.sums()
        assert str(whole.held_usd) == "123456.789012"
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("c", price="0.000001")])
