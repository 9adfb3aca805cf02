"""Verifying: every clip is read to its end, and what is not whole is named and, if asked, moved out of the way."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import fsspec
import pytest

from tasks.clips.store import ClipStore
from tasks.clips.upkeep import Finding, Flaw, Verified, attempts_by_key, verify
from tasks.errors import StorageUnreachable
from tasks.ledger import State, open_ledger
from tests.clips.shelf import Shelf, key_of
from tests.media.barclips import bar_clip

Look: TypeAlias = Callable[..., Awaitable[Verified]]


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "work")
        return
    name = f"memory://store-{uuid.uuid4().hex}"
    yield name
    fs = fsspec.filesystem("memory")
    if fs.exists(name):
        fs.rm(name, recursive=True)


@pytest.fixture
def shelf(root: str, tmp_path: Path, template: Path, clip_file: Path) -> Iterator[Shelf]:
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(template.read_bytes())
    with open_ledger(str(ledger)) as opened:
        yield Shelf(ClipStore(root, tmp_path / "cache"), opened, clip_file, tmp_path)


@pytest.fixture
def look(shelf: Shelf, tmp_path: Path) -> Look:
    async def look(*, quick: bool = False, set_aside: bool = False) -> Verified:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        known = attempts_by_key(shelf.ledger.attempts())
        found = await verify(shelf.store, known, scratch, quick=quick, set_aside=set_aside)
        assert list(scratch.iterdir()) == []
        return found

    return look


def only(found: Verified) -> Finding:
    (finding,) = found.findings
    return finding


def write(shelf: Shelf, key: str, content: bytes, suffix: str = ".mp4") -> None:
    shelf.store.file(f"{key[:2]}/{key}{suffix}").put_bytes(content)


async def test_whole_clips_are_whole(shelf: Shelf, look: Look) -> None:
    for name in ("a", "b", "c"):
        await shelf.put(name)
    found = await look()
    assert (found.clips, found.findings) == (3, ())
    assert found.size_bytes == 3 * shelf.clip.stat().st_size


async def test_an_empty_store_is_whole(look: Look) -> None:
    found = await look()
    assert (found.clips, found.findings) == (0, ())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("damage", "flaw"),
    [
        (lambda content: content[:-1], Flaw.LENGTH),
        (lambda content: content + b"x", Flaw.LENGTH),
        (lambda content: content[:900] + bytes([content[900] ^ 1]) + content[901:], Flaw.CONTENT),
        (lambda _: b"", Flaw.LENGTH),
    ],
    ids=["cut off", "too long", "one bit", "empty"],
)
@pytest.mark.parametrize("quick", [False, True])
async def test_damage_is_found_and_named(
    shelf: Shelf, look: Look, damage: Callable[[bytes], bytes], flaw: Flaw, quick: bool
) -> None:
    await shelf.put("whole")
    key = await shelf.put("hurt")
    write(shelf, key, damage(shelf.clip.read_bytes()))
    found = await look(quick=quick)
    finding = only(found)
    assert (finding.flaw, finding.key, finding.aside) == (flaw, key, None)
    assert (finding.storyboard, finding.shot, finding.take, str(finding.cost_usd)) == ("Harbour", "hurt", 1, "0.42")
    assert finding.path.endswith(f"{key}.mp4")
    assert found.damaged == found.findings
    assert len(shelf.files()) == 4, "nothing is changed unless it is asked for"


async def test_a_record_without_its_file_is_found(shelf: Shelf, look: Look) -> None:
    key = await shelf.put("gone")
    shelf.store.file(f"{key[:2]}/{key}.mp4").remove()
    assert only(await look()).flaw is Flaw.MISSING


@pytest.mark.thorough
@pytest.mark.parametrize("quick", [False, True])
async def test_what_was_stored_undecodable_is_found_by_decoding_alone(
    shelf: Shelf, look: Look, tmp_path: Path, quick: bool
) -> None:
    whole = shelf.clip
    key = await shelf.put("a")
    broken = whole.read_bytes()[: whole.stat().st_size // 2]
    rewrite_record(shelf, key, broken)
    found = await look(quick=quick)
    assert [finding.flaw for finding in found.findings] == ([] if quick else [Flaw.UNDECODABLE])


async def test_another_number_of_frames_than_recorded_is_found(shelf: Shelf, look: Look, tmp_path: Path) -> None:
    key = await shelf.put("a")
    rewrite_record(shelf, key, bar_clip(tmp_path / "longer.mp4", frames=7).read_bytes())
    finding = only(await look())
    assert (finding.flaw, finding.message) == (Flaw.FRAMES, "it has 7 frames, not 5")


def rewrite_record(shelf: Shelf, key: str, content: bytes) -> None:
    """Let length and sha256 be those of other bytes."""
    record = shelf.store.record(key)
    assert record is not None
    write(shelf, key, content)
    sha256 = hashlib.sha256(content).hexdigest()
    assert record.facts is not None
    facts = replace(record.facts, sha256=sha256)
    shelf.store.write_record(replace(record, facts=facts, size_bytes=len(content)))


@pytest.mark.thorough
@pytest.mark.parametrize("content", [b"", b"{", b'{"key": "another"}'])
async def test_a_record_that_says_nothing_is_found(shelf: Shelf, look: Look, content: bytes) -> None:
    key = await shelf.put("a")
    write(shelf, key, content, ".json")
    found = await look()
    assert {finding.flaw for finding in found.findings} == {Flaw.UNREADABLE, Flaw.STRAY}
    assert {(finding.key, finding.shot) for finding in found.findings} == {(key, "a")}
    assert [finding.flaw for finding in found.damaged] == [Flaw.UNREADABLE]


async def test_a_file_without_a_record_is_told_and_is_no_damage(shelf: Shelf, look: Look) -> None:
    key = await shelf.put("a", state=State.SUCCEEDED)
    shelf.store.remove_record(key)
    found = await look()
    assert (only(found).flaw, found.damaged) == (Flaw.STRAY, ())


async def test_files_that_are_not_ours_are_left_alone(shelf: Shelf, look: Look) -> None:
    await shelf.put("a")
    for name in ("README.md", "ab/notes.json", f"zz/{key_of('b')}.mp4"):
        shelf.store.file(name).put_bytes(b"mine")
    assert (await look(set_aside=True)).findings == ()
    assert "README.md" in shelf.files()


@pytest.mark.thorough
@pytest.mark.parametrize("flaw", ["content", "missing", "unreadable"])
async def test_what_is_set_aside_is_out_of_the_way_and_kept(shelf: Shelf, look: Look, flaw: str) -> None:
    whole, key = await shelf.put("whole"), await shelf.put("hurt")
    if flaw == "content":
        write(shelf, key, b"other bytes")
    elif flaw == "missing":
        shelf.store.file(f"{key[:2]}/{key}.mp4").remove()
    else:
        write(shelf, key, b"{", ".json")
    first = await look(set_aside=True)
    assert len(first.damaged) == 1
    aside = first.damaged[0].aside
    assert aside is not None
    assert ".damaged-" in aside
    again = await look()
    assert again.damaged == ()
    assert again.clips == 1
    assert await shelf.store.has({whole, key}) == {whole}
    assert any(".damaged-" in name for name in shelf.files())
    # Stored anew, it is a clip like any other.
    await shelf.put("hurt")
    assert (await look()).damaged == ()
    assert await shelf.store.has({whole, key}) == {whole, key}


async def test_it_tells_how_far_it_is(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        await shelf.put(name)
    told: list[tuple[int, int]] = []
    await verify(shelf.store, {}, tmp_path, tell=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_a_clip_that_no_ledger_knows_is_told_by_its_record(shelf: Shelf, look: Look) -> None:
    key = await shelf.put("a", state=None)
    write(shelf, key, b"other bytes")
    finding = only(await look())
    assert (finding.provider, str(finding.cost_usd), finding.shot) == ("runware", "0.42", None)


async def test_a_store_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(StorageUnreachable, match="cannot be read"):
        await verify(ClipStore("ftp://127.0.0.1:9/work", tmp_path / "cache"), {}, tmp_path)


async def test_the_attempt_that_paid_speaks_for_a_clip(shelf: Shelf) -> None:
    first = shelf.attempt("a")
    assert attempts_by_key(shelf.ledger.attempts())[key_of("a")].task_uuid == first
