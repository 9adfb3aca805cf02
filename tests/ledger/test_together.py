"""Many processes draw on one standing budget at once, and together never take more than there is."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from tasks.ledger import Ledger, StandingBudget
from tests.ledger.races import Child, race

pytestmark = pytest.mark.thorough

PROGRAM = """
ledger, run, number = open_ledger(sys.argv[1]), sys.argv[2], int(sys.argv[3])
GO
begun = time.monotonic()
fits = 0
for n in range(number):
    try:
        ledger.reserve(run, [want(f"{run} {n}", "0.01")])
        fits += 1
    except OverBudget as error:
        assert (error.scope, error.budget) == ("standing", "studio"), error
print(json.dumps([fits, round((time.monotonic() - begun) * 1000)]))
"""


def draw(*, child: Child, url: str, ledger: Ledger, processes: int, each: int, room: int) -> str:
    """So many processes try to reserve `each` times where there is room for `room`; what is said of their pace."""
    studio = StandingBudget("studio", Decimal("0.01") * room)
    runs = [f"run {number}" for number in range(processes)]
    for run_id in runs:
        ledger.begin_run(
            run_id=run_id, provider="emulator", account="", storyboard="", budget_usd=None, budgets=[studio]
        )
        ledger.hold_lease(run_id, 600)
    said = race(child, PROGRAM, [(url, run_id, f"{each}") for run_id in runs], timeout_s=170)
    (state,) = ledger.budget_states("emulator")
    assert sum(fits for fits, _ in said) == len(ledger.attempts()) == room
    assert (state.held_usd, state.room_usd, state.overrun_usd) == (studio.limit_usd, Decimal(0), Decimal(0))
    assert sum((ledger.totals(run_id).held_usd for run_id in runs), Decimal(0)) == studio.limit_usd
    took_s = max(took_ms for _, took_ms in said) / 1000
    return f"{room / took_s:.0f} reservations and {processes * each / took_s:.0f} tries a second"


def test_four_processes_find_room_for_as_many_as_there_is(url: str, ledger: Ledger, child: Child) -> None:
    draw(child=child, url=url, ledger=ledger, processes=4, each=50, room=100)


@pytest.mark.speed
@pytest.mark.timeout(180)
def test_so_do_sixteen_processes(url: str, ledger: Ledger, child: Child, capsys: pytest.CaptureFixture[str]) -> None:
    pace = draw(child=child, url=url, ledger=ledger, processes=16, each=200, room=1000)
    with capsys.disabled():
        sys.stdout.write(f"\n{'postgresql' if '://' in url else 'sqlite'}: {pace}\n")
