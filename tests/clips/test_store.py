"""The clip store: a clip with a record is whole, on a disk and in an object store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import fsspec
import pytest

from tasks.clips.store import Clip, ClipStore, Origin
from tasks.errors import StorageUnreachable
from tasks.media.frames import DecodedFacts
from tasks.runware.download import Download

FACTS = DecodedFacts(
    frames=121,
    width=1280,
    height=720,
    rate=Fraction(24000, 1001),
    constant_rate=True,
    duration_s=Decimal("5.047"),
    has_sound=False,
    sound_duration_s=None,
)
ORIGIN = Origin("runware", "kling", "task", "video", Decimal("0.42"), 7, nsfw=False)
KEY = "ab" + "0" * 62


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
def store(root: str, tmp_path: Path) -> ClipStore:
    return ClipStore(root, tmp_path / "cache")


def arrived(tmp_path: Path, content: bytes = b"a clip", name: str = "clip.mp4") -> Download:
    path = tmp_path / name
    path.write_bytes(content)
    return Download(path, hashlib.sha256(content).hexdigest(), len(content))


async def put(store: ClipStore, tmp_path: Path, content: bytes = b"a clip", key: str = KEY) -> Clip:
    name = f"{uuid.uuid4().hex}.mp4"
    return await store.put(key, arrived(tmp_path, content, name), FACTS, ORIGIN)


def listed(root: str) -> list[str]:
    fs, path = fsspec.core.url_to_fs(root)
    return sorted(name.rsplit("/", 1)[-1] for name in fs.find(path))


async def test_what_is_put_is_found_as_it_was(store: ClipStore, tmp_path: Path) -> None:
    stored = await put(store, tmp_path)
    found = await store.find(KEY)
    assert found == stored
    assert found.path.read_bytes() == b"a clip"
    assert (found.rate, found.origin, found.frames) == (Fraction(24000, 1001), ORIGIN, 121)
    assert await store.has({KEY, "cd" + KEY}) == {KEY}


async def test_nothing_is_found_where_nothing_is(store: ClipStore) -> None:
    assert await store.find(KEY) is None
    assert await store.has({KEY}) == set()
    assert await store.has(set()) == set()


async def test_another_machine_finds_it_too(store: ClipStore, root: str, tmp_path: Path) -> None:
    await put(store, tmp_path)
    found = await ClipStore(root, tmp_path / "another cache").find(KEY)
    assert found is not None
    assert found.path.read_bytes() == b"a clip"


async def test_a_file_without_a_record_is_not_there(store: ClipStore, root: str, tmp_path: Path) -> None:
    await put(store, tmp_path)
    store.root.child(f"clips/ab/{KEY}.json").rename("gone")
    assert await store.find(KEY) is None
    assert await store.has({KEY}) == set()


@pytest.mark.parametrize("content", [b"a clip", b"a dlip", b"a cl", b"a clip and more"])
async def test_a_file_that_is_not_what_its_record_says_is_set_aside(
    store: ClipStore, root: str, tmp_path: Path, content: bytes
) -> None:
    await put(store, tmp_path)
    store.root.child(f"clips/ab/{KEY}.mp4").put_bytes(content)
    fresh = ClipStore(root, tmp_path / "another cache")
    found = await fresh.find(KEY)
    damaged = [name for name in listed(root) if ".damaged-" in name]
    if content == b"a clip":
        assert found is not None
        assert damaged == []
    else:
        assert found is None
        assert len(damaged) == 1
        assert damaged[0].endswith(".mp4")
        assert await fresh.has({KEY}) == set()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b'{"key": "other"}', json.dumps({"key": KEY}).encode(), b"\xff"]
)
async def test_a_record_that_is_none_is_no_clip(store: ClipStore, tmp_path: Path, content: bytes) -> None:
    await put(store, tmp_path)
    store.root.child(f"clips/ab/{KEY}.json").put_bytes(content)
    assert await store.find(KEY) is None
    assert await store.has({KEY}) == set()


async def test_it_can_be_stored_anew(store: ClipStore, tmp_path: Path) -> None:
    await put(store, tmp_path)
    await put(store, tmp_path, b"another clip")
    found = await store.find(KEY)
    assert found is not None
    assert found.path.read_bytes() == b"another clip"


async def test_many_may_write_and_read_the_same_clip_at_once(store: ClipStore, root: str, tmp_path: Path) -> None:
    content = b"frame " * 50_000

    async def write_and_read() -> Clip | None:
        await put(store, tmp_path, content)
        return await store.find(KEY)

    found = await asyncio.gather(*(write_and_read() for _ in range(6)))
    assert all(clip is not None and clip.path.read_bytes() == content for clip in found)
    assert listed(root) == [f"{KEY}.json", f"{KEY}.mp4"]


async def test_a_damaged_download_is_kept_for_inspection(store: ClipStore, root: str, tmp_path: Path) -> None:
    download = arrived(tmp_path, b"half a c")
    shown = await store.set_aside(KEY, download.path)
    assert shown.rsplit("/", 1)[-1] in listed(root)
    assert await store.find(KEY) is None


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file, not a folder")
    store = ClipStore(str(tmp_path / "work"), tmp_path / "cache")
    assert await store.find(KEY) is None
    with pytest.raises(StorageUnreachable, match="cannot be written"):
        await put(store, tmp_path)


class TestRemembered:
    async def test_what_is_recorded(self, store: ClipStore, tmp_path: Path) -> None:
        await put(store, tmp_path)
        assert store.remembered(KEY) == store.record(KEY)

    async def test_what_was_moved_aside_last(self, store: ClipStore, tmp_path: Path) -> None:
        for content in (b"a clip", b"another clip"):
            await put(store, tmp_path, content)
            record = store.record(KEY)
            assert record is not None
            store.retire(record)
        assert store.record(KEY) is None
        assert store.remembered(KEY) == record

    async def test_nothing_of_a_key_that_it_never_had(self, store: ClipStore, tmp_path: Path) -> None:
        assert store.remembered(KEY) is None
        await put(store, tmp_path, key="ab" + "1" * 62)
        assert store.remembered(KEY) is None

    async def test_nothing_that_cannot_be_read(self, store: ClipStore, tmp_path: Path) -> None:
        await put(store, tmp_path)
        store.root.child(f"clips/ab/{KEY}.json").put_bytes(b"{")
        store.retire_record(KEY)
        assert store.remembered(KEY) is None
