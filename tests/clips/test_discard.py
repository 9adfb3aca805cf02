"""What may go from the store, and that nothing goes on which a plan or a payment counts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clips.discard import Claims, Discarded, Item, Rules, Why, claims_of, discard, judge, read_claims
from tasks.clips.inventory import Inventory, Loose, StoredClip
from tasks.clips.record import ClipFacts, ClipRecord, Origin
from tasks.clips.store import ClipStore
from tasks.clips.upkeep import attempts_by_key
from tasks.errors import BadInput, StorageUnreachable
from tasks.ledger import LIVE, Attempt, RememberedPlan, State, open_ledger
from tasks.storage import StoredFile
from tests.clips.shelf import NOW, Shelf, key_of


@pytest.fixture
def shelf(tmp_path: Path, template: Path, clip_file: Path) -> Iterator[Shelf]:
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(template.read_bytes())
    with open_ledger(str(ledger)) as opened:
        yield Shelf(ClipStore(str(tmp_path / "work"), tmp_path / "cache"), opened, clip_file, tmp_path)


def judged(shelf: Shelf, rules: Rules | None = None, **options: str) -> list[Item]:
    known = attempts_by_key(shelf.ledger.attempts())
    claims = read_claims(shelf.ledger, **options)
    return judge(shelf.store.inventory(), claims, known, rules or Rules(), datetime.now(UTC))


def verdicts(items: list[Item]) -> dict[str, tuple[Why, bool]]:
    names = {key_of(name): name for name in "abcdefgh"}
    return {names[item.key]: (item.why, item.goes) for item in items}


async def collect(shelf: Shelf, rules: Rules | None = None) -> Discarded:
    return await discard(shelf.store, shelf.ledger, judged(shelf, rules), rules or Rules())


def names_in(shelf: Shelf) -> set[str]:
    return {name for name in "abcdefgh" if f"{key_of(name)}.mp4" in shelf.files()}


# -- the rule ----------------------------------------------------------------------------------------------------------


async def test_each_clip_is_judged_by_who_counts_on_it(shelf: Shelf) -> None:
    await shelf.put("a", days=99)
    await shelf.put("b", days=99)
    await shelf.put("c", days=99, state=State.SUCCEEDED)
    await shelf.put("d", days=99)
    await shelf.put("e", days=9)
    await shelf.put("f", days=99, state=None)
    shelf.remember("Harbour", {"tram": (1, ["a", "b"])})
    assert verdicts(judged(shelf)) == {
        "a": (Why.SELECTED, False),
        "b": (Why.UNSELECTED, False),
        "c": (Why.UNFINISHED, False),
        "d": (Why.UNNAMED, True),
        "e": (Why.RECENT, False),
        "f": (Why.FOREIGN, False),
    }
    wide = Rules(timedelta(0), unselected=True, foreign=True)
    assert {name for name, (_, goes) in verdicts(judged(shelf, wide)).items() if goes} == {"b", "d", "e", "f"}


async def test_a_take_that_one_plan_selects_is_kept_though_another_does_not(shelf: Shelf) -> None:
    await shelf.put("a", days=99)
    shelf.remember("Harbour", {"tram": (1, ["a", "b"])})
    shelf.remember("Harbour again", {"tram": (2, ["a", "b"])})
    assert verdicts(judged(shelf, Rules(unselected=True))) == {"a": (Why.SELECTED, False)}


async def test_what_is_forgotten_is_judged_by_its_age(shelf: Shelf) -> None:
    await shelf.put("a", days=99)
    await shelf.put("b", days=9)
    shelf.remember("Harbour", {"tram": (1, ["a"]), "quay": (1, ["b"])})
    shelf.remember("Mill", {})
    assert verdicts(judged(shelf, forgetting="Harbour")) == {"a": (Why.UNNAMED, True), "b": (Why.RECENT, False)}
    assert not any(item.goes for item in judged(shelf)), "to look as if is not to forget"
    assert shelf.ledger.forget_plans("Harbour") == 1
    assert shelf.ledger.forget_plans("Harbour") == 0
    assert verdicts(judged(shelf))["a"] == (Why.UNNAMED, True)


@pytest.mark.parametrize(
    "plan", [{}, {"shots": 7}, {"shots": [{"id": "a"}]}, {"shots": [{"takes": [{}], "select": 1}]}]
)
async def test_a_plan_that_cannot_be_read_lets_nothing_go(shelf: Shelf, plan: dict[str, object]) -> None:
    shelf.ledger.remember_plan(provider="runware", storyboard="New", file="new.yaml", run_id="run", plan=plan)
    with pytest.raises(BadInput, match="'New' cannot be read"):
        read_claims(shelf.ledger)
    assert read_claims(shelf.ledger, forgetting="New") == Claims()


PLANS = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=3)), max_size=3),
    max_size=4,
)


@given(
    plans=PLANS,
    unfinished=st.sets(st.sampled_from("abcdefgh")),
    known=st.sets(st.sampled_from("abcdefgh")),
    ages=st.fixed_dictionaries({name: st.integers(0, 100) for name in "abcdefgh"}),
    loose=st.sets(st.sampled_from("abcdefgh")),
    older_than=st.integers(0, 100),
    unselected=st.booleans(),
    foreign=st.booleans(),
)
def test_no_plans_ages_or_flags_let_a_selected_or_unfinished_clip_go(
    plans: list[list[tuple[int, list[str]]]],
    unfinished: set[str],
    known: set[str],
    ages: dict[str, int],
    loose: set[str],
    older_than: int,
    unselected: bool,
    foreign: bool,
) -> None:
    remembered = [remembered_plan(shots) for shots in plans]
    claims = claims_of(remembered, {key_of(name) for name in unfinished})
    selected = {takes[select - 1] for shots in plans for select, takes in shots}
    named = {take for shots in plans for _, takes in shots for take in takes}
    inventory = Inventory(
        clips=tuple(stored(name, ages[name]) for name in ages if name not in loose),
        unreadable=tuple(stray(name, ages[name], ".json") for name in sorted(loose) if ages[name] % 2),
        strays=tuple(stray(name, ages[name], ".mp4") for name in sorted(loose)),
        aside=(),
    )
    rules = Rules(timedelta(days=older_than), unselected=unselected, foreign=foreign)
    items = judge(inventory, claims, {key_of(name): attempt(name) for name in known}, rules, NOW)
    for name, (_, goes) in verdicts(items).items():
        may = name not in selected | unfinished
        if name in named:
            may = may and unselected
        elif name not in loose:
            may = may and ages[name] > older_than and (name in known or foreign)
        assert not goes or may
        # And nothing is hoarded: a clip that may go goes.
        assert goes or name in loose or not may
    assert {item.key for item in items} == {key_of(name) for name in ages}


def remembered_plan(shots: list[tuple[int, list[str]]]) -> RememberedPlan:
    plan = {
        "shots": [
            {
                "id": str(place),
                "select": select,
                "takes": [{"number": number, "content_key": key_of(take)} for number, take in enumerate(takes, 1)],
            }
            for place, (select, takes) in enumerate(shots)
        ]
    }
    return RememberedPlan("runware", "Harbour", "harbour.yaml", "run", plan, NOW)


def stored(name: str, days: int) -> StoredClip:
    key = key_of(name)
    origin = Origin("runware", "kling", "task", "video", Decimal("0.42"), 7, nsfw=False)
    facts = ClipFacts("0" * 64, 121, 1280, 720, Fraction(24), has_sound=False)
    record = ClipRecord(key, ".mp4", 7, origin, NOW - timedelta(days=days), facts)
    return StoredClip(record, StoredFile(record.file_name, 7, NOW))


def stray(name: str, days: int, suffix: str) -> Loose:
    key, since = key_of(name), NOW - timedelta(days=days)
    return Loose(key, StoredFile(f"{key[:2]}/{key}{suffix}", 7, since), since)


def attempt(name: str) -> Attempt:
    return Attempt(
        task_uuid=name,
        number=1,
        provider="runware",
        account="",
        run_id="run",
        storyboard="Harbour",
        shot=name,
        take=1,
        model="kling",
        content_key=key_of(name),
        state=State.STORED,
        request={},
        reserved_usd=Decimal("0.42"),
        cost_usd=None,
        charged=None,
        posts=1,
        result=None,
        error=None,
        error_code=None,
        created_at=NOW,
        updated_at=NOW,
    )


# -- letting go --------------------------------------------------------------------------------------------------------


async def test_what_goes_goes_whole_and_the_rest_is_as_it_was(shelf: Shelf) -> None:
    for name in "abc":
        await shelf.put(name, days=99)
    shelf.remember("Harbour", {"tram": (1, ["a", "b"])})
    gone = await collect(shelf)
    assert [(item.key, item.cost_usd) for item in gone.gone] == [(key_of("c"), Decimal("0.42"))]
    assert gone.spared == ()
    assert shelf.files() == sorted(f"{key_of(name)}.{suffix}" for name in "ab" for suffix in ("json", "mp4"))
    for name in "ab":
        assert await shelf.store.find(key_of(name)) is not None
    assert await shelf.store.find(key_of("c")) is None


async def test_the_local_copy_of_a_remote_clip_goes_with_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.store = ClipStore(f"memory://{tmp_path.name}", tmp_path / "cache")
    await shelf.put("a", days=99)
    assert len(list((tmp_path / "cache").rglob("*.mp4"))) == 1
    await collect(shelf)
    assert shelf.files() == []
    assert list((tmp_path / "cache").rglob("*.mp4")) == []


async def test_a_record_whose_file_is_gone_goes_by_the_same_rule(shelf: Shelf) -> None:
    for name in "ab":
        key = await shelf.put(name, days=99)
        shelf.store.file(f"{key[:2]}/{key}.mp4").remove()
    shelf.remember("Harbour", {"tram": (1, ["a"])})
    await collect(shelf)
    assert shelf.files() == [f"{key_of('a')}.json"]


@pytest.mark.parametrize("state", sorted(LIVE - {State.RESERVED}))
async def test_what_an_attempt_holds_that_is_not_over_stays(shelf: Shelf, state: State) -> None:
    await shelf.put("a", days=99)
    key = await shelf.put("b", days=99, state=State.SUBMITTED)
    if state is not State.SUBMITTED:
        task_uuid = shelf.ledger.attempts(content_key=key)[0].task_uuid
        shelf.ledger.move(task_uuid, state)
    gone = await collect(shelf, Rules(timedelta(0), unselected=True, foreign=True))
    assert [item.key for item in gone.gone] == [key_of("a")]
    assert names_in(shelf) == {"b"}


async def test_a_run_that_began_meanwhile_keeps_its_clips(shelf: Shelf) -> None:
    for name in "abc":
        await shelf.put(name, days=99)
    items = judged(shelf)
    assert all(item.goes for item in items)
    # Between looking and deleting, one run remembers a plan and another reserves a take anew.
    shelf.remember("Harbour", {"tram": (1, ["a"])})
    paid = shelf.ledger.attempts(content_key=key_of("b"))[0]
    shelf.ledger.reserve("run", [shelf.wanted("b", replaces=paid.task_uuid)])
    gone = await discard(shelf.store, shelf.ledger, items, Rules())
    assert {item.key for item in gone.gone} == {key_of("c")}
    assert {item.key for item in gone.spared} == {key_of("a"), key_of("b")}
    assert names_in(shelf) == {"a", "b"}


class Meddled(ClipStore):
    """A store in which something happens at the moment in which a record is taken away."""

    meanwhile = staticmethod(lambda: None)

    def remove_record(self, key: str) -> None:
        super().remove_record(key)
        self.meanwhile()


async def test_a_run_that_begins_while_the_record_is_away_gets_its_clip_back(shelf: Shelf, tmp_path: Path) -> None:
    await shelf.put("a", days=99)
    before = await shelf.store.find(key_of("a"))
    store = Meddled(str(tmp_path / "work"), tmp_path / "cache")
    store.meanwhile = lambda: shelf.remember("Harbour", {"tram": (1, ["a"])})
    gone = await discard(store, shelf.ledger, judged(shelf), Rules())
    assert (gone.gone, [item.key for item in gone.spared]) == ((), [key_of("a")])
    assert await shelf.store.find(key_of("a")) == before


async def test_a_crash_after_the_record_went_leaves_a_file_that_counts_for_nothing_and_goes_next_time(
    shelf: Shelf, tmp_path: Path
) -> None:
    await shelf.put("a", days=99)
    store = Meddled(str(tmp_path / "work"), tmp_path / "cache")

    def crash() -> None:
        raise StorageUnreachable("the storage went away")

    store.meanwhile = crash
    with pytest.raises(StorageUnreachable):
        await discard(store, shelf.ledger, judged(shelf), Rules())
    assert shelf.files() == [f"{key_of('a')}.mp4"]
    assert await shelf.store.find(key_of("a")) is None
    assert await shelf.store.has({key_of("a")}) == set()
    (item,) = judged(shelf)
    assert (item.why, item.goes) == (Why.STRAY, False), "it might be a clip that is being stored"
    later = datetime.now(UTC) + timedelta(hours=2)
    items = judge(shelf.store.inventory(), read_claims(shelf.ledger), {}, Rules(), later)
    await discard(shelf.store, shelf.ledger, items, Rules())
    assert shelf.files() == []


async def test_a_file_that_became_a_clip_meanwhile_stays(shelf: Shelf) -> None:
    await shelf.put("a", days=99)
    record = shelf.store.record(key_of("a"))
    assert record is not None
    shelf.store.remove_record(key_of("a"))
    later = datetime.now(UTC) + timedelta(hours=2)
    items = judge(shelf.store.inventory(), Claims(), {}, Rules(), later)
    assert [(item.why, item.goes) for item in items] == [(Why.STRAY, True)]
    shelf.store.write_record(record)
    gone = await discard(shelf.store, shelf.ledger, items, Rules())
    assert gone.gone == ()
    assert names_in(shelf) == {"a"}


async def test_what_was_kept_aside_goes_when_it_is_old(shelf: Shelf) -> None:
    key = await shelf.put("a")
    record = shelf.store.record(key)
    assert record is not None
    shelf.store.retire(record)
    await shelf.put("a")
    shelf.remember("Harbour", {"tram": (1, ["a"])})
    assert (await collect(shelf)).gone == ()
    later = datetime.now(UTC) + timedelta(days=31)
    items = judge(shelf.store.inventory(), read_claims(shelf.ledger), {}, Rules(), later)
    gone = await discard(shelf.store, shelf.ledger, items, Rules())
    assert {item.why for item in gone.gone} == {Why.ASIDE}
    assert shelf.files() == [f"{key}.json", f"{key}.mp4"]


async def test_what_a_broken_write_left_goes_after_an_hour(tmp_path: Path, shelf: Shelf) -> None:
    store = ClipStore(str(tmp_path / "disk"), tmp_path / "cache")
    for name, hours in (("0" * 32, 2), ("1" * 32, 0.5)):
        place = store.file(f"ab/.{name}.mp4.part")
        place.put_bytes(b"half a c")
        assert place.local is not None
        at = datetime.now(UTC).timestamp() - hours * 3600
        os.utime(place.local, (at, at))
    items = judge(store.inventory(), Claims(), {}, Rules(), datetime.now(UTC))
    gone = await discard(store, shelf.ledger, items, Rules())
    assert [item.names for item in gone.gone] == [(f"ab/.{'0' * 32}.mp4.part",)]
    assert [file.name for file in store.root.files()] == [f"clips/ab/.{'1' * 32}.mp4.part"]


async def test_a_record_that_cannot_be_read_may_be_of_a_newer_version_and_is_kept_as_long_as_a_clip(
    shelf: Shelf,
) -> None:
    key = await shelf.put("a")
    shelf.store.file(f"{key[:2]}/{key}.json").put_bytes(b'{"version": 9}')
    known = attempts_by_key(shelf.ledger.attempts())
    for days, goes in ((29, False), (31, True)):
        later = datetime.now(UTC) + timedelta(days=days)
        (item,) = judge(shelf.store.inventory(), Claims(), known, Rules(), later)
        assert item.goes is goes
    await discard(shelf.store, shelf.ledger, [item], Rules())
    assert shelf.files() == []


async def test_two_may_collect_at_once(shelf: Shelf) -> None:
    for name in "abcdefgh":
        await shelf.put(name, days=99)
    shelf.remember("Harbour", {"tram": (1, ["a"])})
    await asyncio.gather(collect(shelf), collect(shelf))
    assert names_in(shelf) == {"a"}
    assert len(shelf.files()) == 2
