"""A real ledger in a file for each test, and short words for what a run does with it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from tasks.ledger import Attempt, Ledger, State, Wanted, open_ledger
from tests.postgres import Postgres, running_postgres

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts a fresh, current ledger file at a path: creating one each time would be most of the tests' time."""
    template = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(template)).close()

    def put(path: Path) -> Path:
        shutil.copy(template, path)
        return path

    return put


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    url = postgres.create()
    open_ledger(url).close()
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes fresh, current ledgers, on either database, and gives the path or URL of each. They go with the test."""
    if request.param == "sqlite":
        new_ledger: Callable[[Path], Path] = request.getfixturevalue("new_ledger")
        files = (tmp_path / f"ledger{number}.db" for number in itertools.count())
        yield lambda: str(new_ledger(next(files)))
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    made: list[str] = []

    def create() -> str:
        made.append(postgres.create(template))
        return made[-1]

    yield create
    for url in made:
        postgres.drop(url)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """A fresh ledger, on either database: each test that uses it runs on both."""
    return new_url()


@pytest.fixture
def path(new_ledger: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A fresh ledger in a file, for what is so with SQLite alone."""
    return new_ledger(tmp_path / "only.db")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with open_ledger(url) as opened:
        yield opened


@pytest.fixture
def change(url: str) -> Callable[..., list[Any]]:
    """Does something to the database of `ledger` behind its back, and gives the rows of the last statement."""

    def _change(*statements: str) -> list[Any]:
        engine = create_engine(url if "://" in url else f"sqlite:///{url}")
        rows: list[Any] = []
        with engine.begin() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
        engine.dispose()
        return rows

    return _change


@pytest.fixture
def begin(ledger: Ledger) -> Callable[..., str]:
    def _begin(run_id: str = "run", budget: str | None = None, **facts: Any) -> str:
        named: dict[str, Any] = {"provider": "emulator", "account": "", "storyboard": "Harbour"} | facts
        budget_usd = None if budget is None else Decimal(budget)
        ledger.begin_run(run_id=run_id, budget_usd=budget_usd, **named)
        ledger.hold_lease(run_id, 600.0)
        return run_id

    return _begin


@pytest.fixture
def want() -> Callable[..., Wanted]:
    def _want(key: str = "key", price: str = "0.42", **facts: Any) -> Wanted:
        named: dict[str, Any] = {"shot": key, "take": 1, "model": "kling", "request": {"positivePrompt": key}}
        return Wanted(content_key=key, price_usd=Decimal(price), **(named | facts))

    return _want


# One way to bring an attempt into each state.
WAYS: dict[State, tuple[State, ...]] = {
    State.RESERVED: (),
    State.SUBMITTED: (State.SUBMITTED,),
    State.ACCEPTED: (State.SUBMITTED, State.ACCEPTED),
    State.SUCCEEDED: (State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED),
    State.STORED: (State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, State.STORED),
    State.REFUSED: (State.SUBMITTED, State.REFUSED),
    State.FAILED: (State.SUBMITTED, State.ACCEPTED, State.FAILED),
    State.UNKNOWN: (State.SUBMITTED, State.UNKNOWN),
    State.RELEASED: (State.RELEASED,),
}


@pytest.fixture
def attempt_in(ledger: Ledger, begin: Callable[..., str], want: Callable[..., Wanted]) -> Callable[..., Attempt]:
    """An attempt that was brought into a state the regular way; facts go with its last move."""

    def _attempt_in(state: State, key: str = "key", run_id: str = "run", **facts: Any) -> Attempt:
        if ledger.run(run_id) is None:
            begin(run_id)
        (attempt,) = ledger.reserve(run_id, [want(key)])
        for step in WAYS[state]:
            moved = ledger.move(attempt.task_uuid, step, **(facts if step is state else {}))
            assert moved is not None
            attempt = moved
        return attempt

    return _attempt_in


@pytest.fixture
def child() -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python program as another process; it reads stdin and writes stdout."""

    def _child(program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return _child
