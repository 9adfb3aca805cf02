"""The ledger is held against the provider's books: every difference is named, and settled where that is wanted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import httpx
import pytest

from tasks.clips.gate import wanted_take
from tasks.clips.reconcile import Compared, Found, compare, reconcile
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import parse_faults
from tasks.errors import Charged, KeyRefused, ProviderFailed, ProviderUnreachable
from tasks.ledger import Attempt, Ledger, State, open_ledger
from tasks.plan.model import Plan
from tasks.redaction import fingerprint
from tasks.runware.client import RunwareClient
from tests.buckets import Bucket
from tests.clips.house import KEY, PAUSES, House, make_plan
from tests.runware.provider import Provider

S, F = State, Found
NewHouse = Callable[[Plan], House]


@dataclass
class Books:
    """A ledger with one run, and the provider whose books it is held against."""

    house: House
    transport: httpx.AsyncBaseTransport | None = None
    base_url: str = "https://api.test/v1"

    @asynccontextmanager
    async def open(self, key: str = KEY) -> AsyncIterator[tuple[Ledger, RunwareClient]]:
        with open_ledger(str(self.house.folder / "ledger.db")) as ledger:
            async with RunwareClient(self.base_url, key, transport=self.transport) as client:
                yield ledger, client

    async def attempt(
        self,
        *moves: tuple[State, dict[str, Any]],
        shot: int = 0,
        arrived: bool = True,
        ends: bool = False,
        key: str = KEY,
    ) -> Attempt:
        """An attempt that was submitted, and `arrived` or not, and `ends` at the provider; then moved as told."""
        plan = self.house.plan
        async with self.open(key) as (ledger, client):
            ledger.begin_run(
                run_id="run", provider=plan.provider, account=fingerprint(key), storyboard="Harbour", budget_usd=None
            )
            ledger.hold_lease("run", 60.0)
            planned = plan.shots[shot]
            (attempt,) = ledger.reserve("run", [wanted_take(plan, planned, planned.takes[0])])
            ledger.move(attempt.task_uuid, S.SUBMITTED, account=fingerprint(key))
            if arrived:
                await client.submit({**attempt.request, "taskUUID": attempt.task_uuid})
            while ends and (await client.get_responses([attempt.task_uuid])).is_in_work(attempt.task_uuid):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # until it is over
            for state, facts in moves:
                assert ledger.move(attempt.task_uuid, state, **facts) is not None
            found = ledger.attempt(attempt.task_uuid)
        assert found is not None
        return found

    async def reconcile(self, *, key: str = KEY, **options: Any) -> list[Compared]:
        async with self.open(key) as (ledger, client):
            settings = self.house.settings(key=key)
            return await reconcile(settings=settings, client=client, ledger=ledger, pauses=PAUSES, **options)

    async def one(self, **options: Any) -> Compared:
        (one,) = await self.reconcile(**options)
        return one

    def now(self) -> Attempt:
        (attempt,) = self.house.attempts()
        return attempt


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        yield server


@pytest.fixture
def books(emulator: EmulatorServer, new_house: NewHouse) -> Iterator[Books]:
    """The emulator's books, three shots for $0.42 each."""
    house = new_house(make_plan("a tram", "a ferry", "a gull", provider="emulator"))
    yield Books(house, base_url=emulator.base_url)
    emulator.faults.replace(parse_faults(""))


@pytest.fixture
def scripted(house: House, provider: Provider) -> Books:
    return Books(house, provider)


def charged_by(emulator: EmulatorServer, task_uuids: list[str]) -> Decimal:
    """What these tasks cost by the emulator's own books."""
    tasks = httpx.get(f"{emulator.origin}/_emulator/books").json()["tasks"]
    return sum((Decimal(it["charge_usd"]) for it in tasks if it["taskUUID"] in task_uuids), Decimal(0))


def paid(cost: str | None = "0.42") -> tuple[tuple[State, dict[str, Any]], ...]:
    facts = {} if cost is None else {"cost_usd": Decimal(cost)}
    return (S.ACCEPTED, {}), (S.SUCCEEDED, facts), (S.STORED, {})


def failed(charged: Charged, cost: str | None = None) -> tuple[tuple[State, dict[str, Any]], ...]:
    facts = {"charged": charged} | ({} if cost is None else {"cost_usd": Decimal(cost)})
    return (S.ACCEPTED, {}), (S.FAILED, facts)


COST = "{fault: cost, cost_usd: '%s'}"
FREE_FAILURE = "{fault: fail, code: inferenceError}"
PAID_FAILURE = "{fault: fail, code: inferenceError, charged: true}"


@dataclass(frozen=True)
class Case:
    """What the ledger has, what the provider does, what is found; and what stands in the ledger once it is applied.

    `settled` says whether nothing differs then; `after` is what the attempt counts for then.
    """

    name: str
    moves: tuple[tuple[State, dict[str, Any]], ...]
    fault: str
    found: Found
    provider_usd: str | None
    after: str
    settled: bool = True
    state: State | None = None


CASES = [
    Case("a clip at its price", paid(), "", F.EQUAL, "0.42", "0.42"),
    Case("a clip that cost more", paid(), COST % "0.63", F.MORE, "0.63", "0.63"),
    Case("a clip that cost less", paid(), COST % "0.21", F.LESS, "0.21", "0.21"),
    Case("a clip that was free", paid(), COST % "0", F.LESS, "0", "0"),
    Case("a cost that was never told, as assumed", paid(None), "", F.EQUAL, "0.42", "0.42"),
    Case("a cost that was never told, and is another", paid(None), COST % "0.5", F.MORE, "0.5", "0.5"),
    Case(
        "an unknown attempt that made a clip",
        ((S.UNKNOWN, {}),),
        COST % "0.63",
        F.KNOWN_NOW,
        "0.63",
        "0.63",
        state=S.SUCCEEDED,
    ),
    Case("an accepted one that nobody waits for", ((S.ACCEPTED, {}),), "", F.KNOWN_NOW, "0.42", "0.42"),
    Case("a submitted one that nobody waits for", (), "", F.KNOWN_NOW, "0.42", "0.42", state=S.SUCCEEDED),
    Case(
        "an unknown attempt that failed and was charged",
        ((S.UNKNOWN, {}),),
        PAID_FAILURE,
        F.KNOWN_NOW,
        "0.42",
        "0.42",
        state=S.FAILED,
    ),
    Case(
        "an unknown attempt that failed, for nobody says how much",
        ((S.UNKNOWN, {}),),
        FREE_FAILURE,
        F.KNOWN_NOW,
        None,
        "0.42",
        settled=False,
        state=S.FAILED,
    ),
    Case("a failure of which it was not known", failed(Charged.UNKNOWN), PAID_FAILURE, F.KNOWN_NOW, "0.42", "0.42"),
    Case("a failure that was charged", failed(Charged.NO), PAID_FAILURE, F.FAILED_CHARGED, "0.42", "0.42"),
    Case("a failure that was charged, as known", failed(Charged.YES), PAID_FAILURE, F.EQUAL, "0.42", "0.42"),
    Case("a failure charged at another cost", failed(Charged.YES, "0.1"), PAID_FAILURE, F.MORE, "0.42", "0.42"),
    Case(
        "a failure of which nobody knows",
        failed(Charged.UNKNOWN),
        FREE_FAILURE,
        F.UNKNOWN,
        None,
        "0.42",
        settled=False,
    ),
    Case("a failure for which the provider names no cost", failed(Charged.NO), FREE_FAILURE, F.UNTOLD, None, "0"),
    Case("a failure that made a clip", failed(Charged.NO), "", F.MADE, "0.42", "0.42", state=S.FAILED),
    Case("a clip that was paid for and not accepted", failed(Charged.YES), "", F.EQUAL, "0.42", "0.42"),
    Case("a clip of ours that failed there", paid(), PAID_FAILURE, F.FAILED, "0.42", "0.42", settled=False),
    Case("one in work", ((S.ACCEPTED, {}),), "{fault: stuck}", F.IN_WORK, None, "0.42"),
    Case("a sent one that was given back", ((S.RELEASED, {}),), "", F.MADE, "0.42", "0", settled=False),
]


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_both_books_say_decides(case: Case, books: Books, emulator: EmulatorServer) -> None:
    emulator.faults.replace(parse_faults(f"rules: [{case.fault}]"))
    attempt = await books.attempt(*case.moves, ends=case.found is not F.IN_WORK)
    provider_usd = None if case.provider_usd is None else Decimal(case.provider_usd)

    told = await books.one()

    assert (told.found, told.provider_usd, told.settled) == (case.found, provider_usd, False)
    assert told.ledger_usd == attempt.totals.held_usd
    assert told.differs is (case.found not in {F.EQUAL, F.UNTOLD, F.IN_WORK})
    assert books.now() == attempt  # nothing is written unless that is wanted

    applied = await books.one(apply=True)

    now = books.now()
    assert applied.found is case.found
    assert now.totals.held_usd == Decimal(case.after)
    assert applied.settled is (told.differs and case.settled)
    if case.state is not None:
        assert now.state is case.state
    again = await books.one()
    assert again.differs is not case.settled


async def test_the_ledgers_sum_is_the_providers_once_it_is_applied(books: Books, emulator: EmulatorServer) -> None:
    """To the micro-dollar, whatever the provider took: more, less, for failures, for what was given up."""
    emulator.faults.replace(
        parse_faults("""
            rules:
              - {fault: cost, cost_usd: "0.630001", nth: 1}
              - {fault: fail, code: inferenceError, charged: true, nth: 2}
              - {fault: cost, cost_usd: "0.000001", nth: 3}
        """)
    )
    uuids = [
        (await books.attempt(*moves, shot=shot, ends=True)).task_uuid
        for shot, moves in enumerate((paid(), failed(Charged.NO), ((S.UNKNOWN, {}),)))
    ]

    before = await books.reconcile(apply=True)

    assert [item.found for item in before] == [F.MORE, F.FAILED_CHARGED, F.KNOWN_NOW]
    assert [item.attempt.task_uuid for item in before] == uuids
    assert books.house.held_usd() == charged_by(emulator, uuids) == Decimal("1.050002")
    assert [item.found for item in await books.reconcile()] == [F.EQUAL] * 3


class TestNotKnownAnyMore:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("moves", "found"),
        [
            (paid(), F.GONE),
            (failed(Charged.YES), F.GONE),
            (failed(Charged.NO), F.EQUAL),
            (failed(Charged.UNKNOWN), F.UNKNOWN),
            (((S.REFUSED, {}),), F.EQUAL),
            (((S.UNKNOWN, {}),), F.UNKNOWN),
            ((), F.UNKNOWN),
            (((S.RELEASED, {}),), F.EQUAL),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("not_found", [False, True])
    async def test_silence_and_no_such_task_are_alike(
        self,
        scripted: Books,
        provider: Provider,
        moves: tuple[tuple[State, dict[str, Any]], ...],
        found: Found,
        not_found: bool,
    ) -> None:
        provider.not_found = not_found
        attempt = await scripted.attempt(*moves, arrived=False)
        told = await scripted.one(apply=True)
        assert (told.found, told.settled, told.provider_usd) == (found, False, None)
        assert scripted.now() == attempt

    async def test_what_polling_has_forgotten_is_in_the_details(self, scripted: Books, provider: Provider) -> None:
        attempt = await scripted.attempt(*paid())
        provider.forgets.add(attempt.task_uuid)
        assert (await scripted.one()).found is F.EQUAL
        assert provider.counts["getTaskDetails"] == 1


class TestWhatIsLeftAlone:
    async def test_what_a_living_run_drives(self, scripted: Books, provider: Provider) -> None:
        attempt = await scripted.attempt((S.ACCEPTED, {}))
        async with scripted.open() as (ledger, _):
            ledger.hold_lease("alive", 60.0)
            ledger.take_wheel(attempt.task_uuid, "alive")
        told = await scripted.one(apply=True)
        assert (told.found, told.differs) == (F.IN_WORK, False)
        assert "run alive drives it" in told.message
        assert provider.counts["getResponse"] == 0

    async def test_what_left_under_another_key(self, scripted: Books, provider: Provider) -> None:
        await scripted.attempt(*paid(), key="another-key-0123456789")
        told = await scripted.one()
        assert (told.found, told.differs) == (F.OTHER_ACCOUNT, False)
        assert provider.counts["getResponse"] == 0

    async def test_what_never_left(self, scripted: Books) -> None:
        async with scripted.open() as (ledger, _):
            ledger.begin_run(run_id="run", provider="runware", account="", storyboard="Harbour", budget_usd=None)
            plan = scripted.house.plan
            ledger.reserve("run", [wanted_take(plan, plan.shots[0], plan.shots[0].takes[0])])
        assert await scripted.reconcile() == []

    async def test_what_was_submitted_before(self, scripted: Books) -> None:
        await scripted.attempt(*paid())
        now = datetime.now(UTC)
        assert await scripted.reconcile(since=now + timedelta(seconds=1)) == []
        assert len(await scripted.reconcile(since=now - timedelta(hours=1))) == 1

    async def test_another_providers(self, scripted: Books) -> None:
        await scripted.attempt(*paid())
        scripted.house.plan = make_plan("a ferry", provider="emulator")
        assert await scripted.reconcile() == []


class TestBesideAPerson:
    """What a person says while the provider is asked is not overwritten by the answer."""

    ANSWERS: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"code": "inferenceError", "message": "no"},
        {"code": "inferenceError", "message": "no", "cost": 0.42},
        {"code": "inferenceError", "message": "no", "cost": 0},
        {"code": "uploadFailed", "message": "no"},
        {"code": "uploadFailed", "message": "no", "cost": 0.42},
    )

    @pytest.mark.parametrize("charged", [Charged.YES, Charged.NO])
    @pytest.mark.parametrize("ending", ANSWERS, ids=str)
    async def test_their_word_stands(
        self, house: House, bucket: Bucket, provider: Provider, ending: dict[str, Any], charged: Charged
    ) -> None:
        house.work = "s3://films/work"  # where clips may be delivered
        cost_usd = Decimal("0.50") if charged is Charged.YES else None

        class Beside(Provider):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                answer = await super().handle_async_request(request)
                if self.counts["getResponse"] == 1 and not said:
                    with open_ledger(str(house.folder / "ledger.db")) as ledger:
                        said.append(ledger.settle(attempt.task_uuid, charged=charged, cost_usd=cost_usd))
                return answer

        said: list[Attempt | None] = []
        beside = Beside(clip=provider.clip, endings=deque([ending or None]))
        books = Books(house, beside, "http://127.0.0.1:9/v1")
        attempt = await books.attempt((S.UNKNOWN, {}))
        told = await books.one(apply=True)
        assert (told.found, told.settled) == (F.KNOWN_NOW, False)
        assert [books.now()] == said
        assert (books.now().charged, books.now().cost_usd) == (charged, cost_usd)


class TestQuestionsThatFail:
    async def test_a_passing_trouble_is_asked_through(self, scripted: Books, provider: Provider) -> None:
        await scripted.attempt(*paid())
        provider.questions = deque([(503, "busy"), httpx.ReadError("reset")])
        assert (await scripted.one()).found is F.EQUAL

    async def test_a_provider_out_of_reach_leaves_every_attempt_unasked(
        self, scripted: Books, provider: Provider
    ) -> None:
        attempt = await scripted.attempt(*paid())
        provider.questions = deque([httpx.ConnectError("refused")] * 20)
        told = await scripted.one(apply=True)
        assert (told.found, told.differs) == (F.NOT_ASKED, True)
        assert isinstance(told.error, ProviderUnreachable)
        assert (told.error.shot, told.error.task_uuid) == ("a", attempt.task_uuid)

    async def test_a_refused_key_is_said(self, scripted: Books, provider: Provider) -> None:
        await scripted.attempt(*paid())
        provider.key = "another"
        assert isinstance((await scripted.one()).error, KeyRefused)


async def test_many_are_asked_about_in_one_request(new_house: NewHouse, provider: Provider) -> None:
    books = Books(new_house(make_plan(*(f"a tram {number}" for number in range(20)))), provider)
    for shot in range(20):
        await books.attempt(*paid(), shot=shot)
    provider.bodies.clear()
    assert [item.found for item in await books.reconcile()] == [F.EQUAL] * 20
    assert [len(body) for body in provider.bodies] == [20]


async def test_a_failure_that_costs_nothing_by_the_providers_word_is_free(scripted: Books, provider: Provider) -> None:
    provider.endings = deque([{"code": "inferenceError", "message": "no", "cost": 0}])
    await scripted.attempt(*failed(Charged.YES))
    assert (await scripted.one(apply=True)).found is F.LESS
    assert (scripted.now().charged, scripted.now().totals.held_usd) == (Charged.NO, Decimal(0))


async def test_comparing_needs_no_provider(scripted: Books) -> None:
    attempt = await scripted.attempt(*failed(Charged.NO))
    verdict = ProviderFailed("no", charged=Charged.YES, cost_usd=Decimal("0.42"))
    assert compare(attempt, verdict).found is F.FAILED_CHARGED
    assert compare(attempt, "known").found is F.IN_WORK
    stored = await scripted.attempt(*paid())
    assert compare(stored, "known").found is F.UNTOLD
