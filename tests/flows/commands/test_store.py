"""`shotchain store`: what a user sees of verifying and collecting, on a disk and on a real S3 server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.commands.store import gc, verify
from flows.money.terms import Terms
from flows.production.studio import open_studio
from tasks.clips.store import ClipStore
from tasks.errors import BadInput, Incomplete, SettingsError
from tasks.ledger import Limits, State, open_ledger
from tasks.progress import observer
from tasks.settings import resolve_settings
from tests.clips.house import make_plan
from tests.clips.shelf import Shelf, key_of
from tests.flows.conftest import Home
from tests.media.barclips import bar_clip


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bar_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=5)


@pytest.fixture
def shelf(home: Home, clip_file: Path) -> Iterator[Shelf]:
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        store = ClipStore(home.environment["SHOTCHAIN_WORK"], home.folder / "cache")
        yield Shelf(store, ledger, clip_file, home.folder)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().out


@pytest.fixture
def told(said: Callable[[], str]) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(said())
        return parsed

    return read


async def stock(shelf: Shelf) -> None:
    """A plan of two takes of which it selects the first, an old clip in no plan, and one that is under way."""
    for name in ("a", "b", "c"):
        await shelf.put(name, days=99)
    await shelf.put("d", days=99, state=State.SUCCEEDED)
    shelf.remember("Harbour", {"tram": (1, ["a", "b"])})


# -- verify ------------------------------------------------------------------------------------------------------------


async def test_a_whole_store_is_told_in_one_line(shelf: Shelf, said: Callable[[], str]) -> None:
    await stock(shelf)
    await in_thread(verify)
    assert said().startswith("4 clips, ")


async def test_damage_ends_with_5_and_says_what_to_do(shelf: Shelf, said: Callable[[], str]) -> None:
    await stock(shelf)
    shelf.path(key_of("b")).write_bytes(b"other bytes")
    with pytest.raises(Incomplete, match="1 of 4 clips in the store are not whole") as caught:
        await in_thread(verify)
    assert caught.value.exit_code == 5
    assert "next render that needs one fetches it" in str(caught.value)
    assert (caught.value.summary["damaged"], caught.value.as_dict()["charged"]) == (1, "no")
    row = next(line for line in said().splitlines() if line.startswith("length"))
    assert all(part in row for part in ("Harbour", "b", "$0.42", f"{key_of('b')}.mp4", "11 bytes"))
    with pytest.raises(Incomplete, match="out of the way now"):
        await in_thread(verify, set_aside=True)
    await in_thread(verify)
    assert "3 clips" in said()


async def test_a_store_can_be_verified_without_a_ledger_but_not_with_one_that_is_not_there(
    home: Home, told: Callable[[], dict[str, Any]]
) -> None:
    await in_thread(verify, json=True, quick=True)
    assert told() == {"clips": 0, "size_bytes": 0, "damaged": 0, "quick": True, "findings": []}
    with pytest.raises(SettingsError, match="there is no ledger"):
        await in_thread(verify, ledger=str(home.folder / "none.db"))
    assert [path.name for path in home.folder.iterdir()] == ["cache"]
    assert list((home.folder / "cache" / "scratch").iterdir()) == []


async def test_a_store_that_is_not_there_is_not_called_whole(home: Home, said: Callable[[], str]) -> None:
    (home.folder / "file").write_text("")
    for named in ("nowhere", "file"):
        with pytest.raises(BadInput, match=f"there is no clip store at .*{named}"):
            await in_thread(verify, work=str(home.folder / named))
    await in_thread(verify)
    assert said().startswith("there is no clip in ")


# -- gc ----------------------------------------------------------------------------------------------------------------


async def test_what_would_go_is_shown_with_its_price_and_stays_without_yes(
    shelf: Shelf, said: Callable[[], str]
) -> None:
    await stock(shelf)
    before = shelf.files()
    await in_thread(gc)
    lines = said().splitlines()
    assert lines[1].startswith("unnamed")
    assert all(part in lines[1] for part in ("Harbour", "c", "$0.42", f"{key_of('c')}.mp4"))
    assert lines[2] == "kept: 1 selected, 1 unfinished, 1 unselected"
    assert lines[3].startswith("goes: 1, ")
    assert lines[3].endswith("to make its clips again: $0.42 at runware")
    assert lines[4] == "Nothing was deleted. Delete it with --yes."
    assert shelf.files() == before


async def test_with_yes_it_goes_and_only_that(shelf: Shelf, told: Callable[[], dict[str, Any]]) -> None:
    await stock(shelf)
    await in_thread(gc, yes=True, json=True)
    outcome = told()
    assert (outcome["deleted"], outcome["cost_usd"], outcome["spared"]) == (True, {"runware": "0.42"}, [])
    assert [(item["shot"], item["why"]) for item in outcome["items"]] == [("c", "unnamed")]
    assert outcome["kept"] == {"selected": 1, "unfinished": 1, "unselected": 1}
    await in_thread(gc, unselected=True, yes=True, json=True)
    assert [(item["shot"], item["why"]) for item in told()["items"]] == [("b", "unselected")]
    assert shelf.files() == sorted(f"{key_of(name)}.{suffix}" for name in "ad" for suffix in ("json", "mp4"))


async def test_a_forgotten_storyboard_gives_its_clips_up(shelf: Shelf, told: Callable[[], dict[str, Any]]) -> None:
    await stock(shelf)
    await in_thread(gc, forget="Harbour", json=True)
    outcome = told()
    assert (outcome["forgotten"], len(outcome["items"])) == (1, 3)
    assert len(shelf.ledger.remembered_plans()) == 1
    await in_thread(gc, forget="Harbour", yes=True, json=True)
    assert shelf.ledger.remembered_plans() == []
    assert shelf.files() == [f"{key_of('d')}.json", f"{key_of('d')}.mp4"]
    with pytest.raises(BadInput, match="no plan of a storyboard 'Harbour' is remembered"):
        await in_thread(gc, forget="Harbour")


async def test_a_storyboard_that_is_being_rendered_is_not_forgotten(shelf: Shelf) -> None:
    await stock(shelf)
    shelf.ledger.hold_lease("run", 60)
    with pytest.raises(BadInput, match="'Harbour' is being rendered now"):
        await in_thread(gc, forget="Harbour", yes=True)
    assert len(shelf.ledger.remembered_plans()) == 1


async def test_without_a_ledger_nothing_goes_and_none_is_made(home: Home) -> None:
    with pytest.raises(SettingsError, match="there is no ledger"):
        await in_thread(gc, yes=True)
    assert not (home.folder / "ledger.db").exists()


@pytest.mark.parametrize("flags", [{"older_than": -1.0}, {"cache": True, "unselected": True}])
async def test_flags_that_make_no_sense_are_refused(home: Home, flags: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        await in_thread(gc, **flags)


async def test_caches_are_emptied_of_what_is_not_in_use(home: Home, said: Callable[[], str]) -> None:
    old, young = (home.folder / "cache" / "frames" / name for name in ("old.png", "young.png"))
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_bytes(b"x" * 1500)
    os.utime(old, (0, 0))
    await in_thread(gc, cache=True)
    assert said().splitlines()[-1] == "goes: 1.5 kB; it can be made again at no cost. Delete it with --yes."
    await in_thread(gc, cache=True, yes=True)
    assert said().splitlines()[-1] == "deleted: 1.5 kB"
    assert (old.exists(), young.exists()) == (False, True)


# -- other commands that only read -------------------------------------------------------------------------------------


async def test_a_ledger_that_is_only_read_is_not_made(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.commands.ledger import attempts
    from flows.commands.settle import settle

    monkeypatch.chdir(home.folder)
    for read in (lambda: attempts(ledger="new/none.db"), lambda: settle("uuid", charged=True, ledger="new/none.db")):
        with pytest.raises(SettingsError, match="there is no ledger at"):
            await in_thread(read)
    assert list(home.folder.iterdir()) == []


# -- a run -------------------------------------------------------------------------------------------------------------


async def test_a_run_begins_with_caches_within_their_limit_and_leaves_no_scratch(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = home.folder / "cache" / "conformed" / "old.mp4"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"x" * 2000)
    os.utime(old, (0, 0))
    plan = make_plan("A tram climbs", provider="runware")
    for limit, left in (("0.000003", True), ("0.000001", False)):
        monkeypatch.setenv("SHOTCHAIN_CACHE_GB", limit)
        settings = resolve_settings(environ={**os.environ, "RUNWARE_API_KEY": "key"})
        async with open_studio(
            settings,
            plan,
            {},
            run_id=limit,
            terms=Terms({}, Limits(), None),
            rebuy_lost=False,
            observe=observer(),
        ) as studio:
            assert old.exists() is left
            assert studio.scratch.is_dir()
        assert list((home.folder / "cache" / "scratch").iterdir()) == []


# -- object storage ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(s3: Any) -> Any:
    s3.mkdir("studio")
    return s3


async def test_a_store_in_a_bucket_is_verified_and_collected(
    shelf: Shelf, bucket: Any, home: Home, told: Callable[[], dict[str, Any]]
) -> None:
    work = "s3://studio/work"
    shelf.store = ClipStore(work, home.folder / "cache")
    await stock(shelf)
    await in_thread(verify, work=work, json=True)
    assert (told()["clips"], list((home.folder / "cache" / "scratch").iterdir())) == (4, [])

    hurt = key_of("b")
    content = bucket.cat_file(f"studio/work/clips/{hurt[:2]}/{hurt}.mp4")
    bucket.pipe_file(f"studio/work/clips/{hurt[:2]}/{hurt}.mp4", content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Incomplete) as caught:
        await in_thread(verify, work=work, set_aside=True)
    assert [finding["flaw"] for finding in caught.value.summary["findings"]] == ["content"]

    await in_thread(gc, work=work, yes=True)
    bucket.invalidate_cache()
    left = {path.rsplit("/", 1)[-1] for path in bucket.find("studio/work")}
    kept = {f"{key_of(name)}.{suffix}" for name in "ad" for suffix in ("json", "mp4")}
    assert {name for name in left if ".damaged-" not in name} == kept
    assert len(left - kept) == 2, "what was set aside today is kept for inspection"


async def in_thread(command: Callable[..., None], **flags: Any) -> None:
    """Run a command as a process of its own would: with no event loop around it."""
    import asyncio

    await asyncio.to_thread(command, **flags)
