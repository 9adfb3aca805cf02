"""A clip store and its ledger, filled by hand: clips of any age, in any state, named by plans or by none."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tasks.clips.record import Origin
from tasks.clips.store import ClipStore
from tasks.ledger import Ledger, State, Wanted
from tasks.media.frames import decode_whole
from tasks.runware.download import Download

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DRIVEN = (State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, State.STORED)


def key_of(name: str) -> str:
    """A content key, the same for the same name."""
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass
class Shelf:
    """A store with its ledger. `clip` is what every stored clip is a copy of."""

    store: ClipStore
    ledger: Ledger
    clip: Path
    folder: Path

    def __post_init__(self) -> None:
        self.ledger.begin_run(run_id="run", provider="runware", account="", storyboard="Harbour", budget_usd=None)

    def attempt(self, name: str, state: State = State.STORED) -> str:
        """An attempt at the clip `name`, driven as far as `state`; returns its UUID."""
        adopted = self.ledger.reserve("run", [self.wanted(name)])[0]
        task_uuid = adopted.task_uuid
        if adopted.state is not State.RESERVED:
            return task_uuid
        for to in DRIVEN:
            if state is State.RESERVED:
                break
            self.ledger.move(task_uuid, to)
            if to is state:
                break
        return task_uuid

    def wanted(self, name: str, replaces: str | None = None) -> Wanted:
        """The take that the clip `name` is."""
        return Wanted(key_of(name), name, 1, "kling", Decimal("0.42"), {"positivePrompt": name}, replaces)

    async def put(self, name: str, *, state: State | None = State.STORED, days: float = 0) -> str:
        """Store the clip `name` as if `days` ago; with its attempt in `state`, or with none. Returns its key."""
        key = key_of(name)
        task_uuid = str(uuid.uuid4()) if state is None else self.attempt(name, state)
        copy = self.folder / f"{uuid.uuid4().hex}.mp4"
        shutil.copyfile(self.clip, copy)
        content = copy.read_bytes()
        origin = Origin("runware", "kling", task_uuid, "video", Decimal("0.42"), 7, nsfw=False)
        download = Download(copy, hashlib.sha256(content).hexdigest(), len(content))
        await self.store.put(key, download, decode_whole(copy), origin)
        record = self.store.record(key)
        assert record is not None
        self.store.write_record(replace(record, stored_at=datetime.now(UTC) - timedelta(days=days)))
        return key

    def remember(self, title: str, shots: Mapping[str, tuple[int, Sequence[str]]], run_id: str = "run") -> None:
        """Remember a plan: for each shot the number of the selected take, and its takes by clip name."""
        plan = {
            "shots": [
                {
                    "id": shot,
                    "select": select,
                    "takes": [
                        {"number": number, "content_key": key_of(name)} for number, name in enumerate(takes, start=1)
                    ],
                }
                for shot, (select, takes) in shots.items()
            ]
        }
        self.ledger.remember_plan(provider="runware", storyboard=title, file=f"{title}.yaml", run_id=run_id, plan=plan)

    def files(self) -> list[str]:
        """The names of all files in the store, without their folders."""
        return sorted(file.name.rpartition("/")[2] for file in self.store.root.files())

    def path(self, key: str, suffix: str = ".mp4") -> Path:
        """A file of a store on this disk."""
        path = self.store.file(f"{key[:2]}/{key}{suffix}").local
        assert path is not None
        return path
