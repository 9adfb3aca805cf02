"""Tasks, uploads and videos as files, so that an emulator can be stopped, started again, or doubled.

    tasks/UUID.json       one accepted task; whoever creates the file has the UUID
    results/UUID          which task a video belongs to
    outcomes/UUID.json    how the rendering of a video ended
    videos/UUID.mp4       finished videos
    contents/KEY/N        the N-th acceptance of the same content
    uploads/UUID.json     one upload
    media/SHA256          bytes of inputs and uploads
    addresses/UUID.json   which of a video's addresses have expired
    undelivered/UUID      a task of which something is still to be brought somewhere
    deliveries/UUID.json  what was sent of one result, and with which success
    running/ID            locked by the emulator of that name as long as it runs
    instant/KEY.mp4       clips that many results share
    counts/ID.json        what one running emulator has counted
    remote.json           optional, written by people: what a remote URL stands for

Every file appears whole or not at all. Nothing is read before it is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tasks.emulator.fates import Expiry
from tasks.emulator.records import Outcome, TaskRecord, UploadRecord
from tasks.errors import SettingsError

__all__ = ["COUNTED", "StateStore"]

COUNTED = ("posts", "videoInference", "getResponse", "rejected", "downloads", "webhooks", "puts", "messages")
_FAULT = "fault:"
_FOLDERS = (
    "tasks",
    "results",
    "outcomes",
    "videos",
    "contents",
    "uploads",
    "media",
    "addresses",
    "undelivered",
    "deliveries",
    "running",
    "instant",
    "counts",
    "parts",
)


class StateStore:
    """The files of one state folder.

    Args:
        root: The folder; it is made if it is not there.

    Attributes:
        root: The folder.
        name: Of the emulator that uses this object, among all of the folder.

    Raises:
        SettingsError: It cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(uuid.uuid4())
        try:
            for name in _FOLDERS:
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the emulator cannot keep its state in {root}: {error}") from error
        self._tasks: dict[str, TaskRecord] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._occurrences: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._counts_name = f"counts/{self.name}.json"
        self._lock = threading.Lock()

    # Files

    def path(self, name: str) -> Path:
        """Absolute path of a file of the folder."""
        return self.root / name

    def part(self, suffix: str) -> Path:
        """A new name for a file in the making, on the same file system."""
        return self.root / "parts" / f"{uuid.uuid4()}{suffix}"

    def _write(self, name: str, content: bytes, *, exclusive: bool = False) -> None:
        part = self.part("")
        part.write_bytes(content)
        try:
            if exclusive:
                os.link(part, self.path(name))
            else:
                part.replace(self.path(name))
        finally:
            part.unlink(missing_ok=True)

    def write_json(self, name: str, fields: dict[str, Any], *, exclusive: bool = False) -> None:
        """Keep a file of the folder, whole.

        Raises:
            FileExistsError: It is there, and is to be `exclusive`.
        """
        self._write(name, json.dumps(fields).encode(), exclusive=exclusive)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """What a file of the folder holds; None if there is none."""
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        fields: dict[str, Any] = json.loads(content)
        return fields

    # Tasks

    def add_task(self, task: TaskRecord) -> None:
        """Keep an accepted task.

        Raises:
            FileExistsError: There is one of the same UUID.
        """
        for result in task.results:
            self._write(f"results/{result.video_uuid}", task.task_uuid.encode())
        self.write_json(f"tasks/{task.task_uuid}.json", task.as_json(), exclusive=True)
        self._tasks[task.task_uuid] = task

    def task(self, task_uuid: str) -> TaskRecord | None:
        """The task of that UUID, whichever emulator accepted it."""
        if task_uuid not in self._tasks:
            fields = self.read_json(f"tasks/{task_uuid}.json")
            if fields is None:
                return None
            self._tasks[task_uuid] = TaskRecord.from_json(fields)
        return self._tasks[task_uuid]

    def tasks(self) -> list[TaskRecord]:
        """All tasks, in the order of their acceptance."""
        found = (self.task(path.stem) for path in (self.root / "tasks").glob("*.json"))
        return sorted((task for task in found if task), key=lambda task: (task.accepted_at, task.task_uuid))

    def task_of_video(self, video_uuid: str) -> TaskRecord | None:
        """The task that makes a video."""
        try:
            task_uuid = self.path(f"results/{video_uuid}").read_text()
        except FileNotFoundError:
            return None
        task = self.task(task_uuid)
        known = task is not None and any(result.video_uuid == video_uuid for result in task.results)
        return task if known else None

    def claim_occurrence(self, content_key: str) -> int:
        """How often this content was accepted before; counts this time."""
        folder = self.root / "contents" / content_key
        occurrence = self._occurrences.get(content_key, 0)
        if not occurrence:
            folder.mkdir(exist_ok=True)
            occurrence = len(list(folder.iterdir()))
        while True:
            try:
                (folder / str(occurrence)).touch(exist_ok=False)
            except FileExistsError:
                occurrence += 1
            else:
                self._occurrences[content_key] = occurrence + 1
                return occurrence

    def release_occurrence(self, content_key: str, occurrence: int) -> None:
        """Take back a claim: the task was not accepted after all."""
        (self.root / "contents" / content_key / str(occurrence)).unlink(missing_ok=True)
        self._occurrences.pop(content_key, None)

    # Videos

    def video_path(self, task: TaskRecord, video_uuid: str) -> Path:
        """Where a finished video is kept."""
        return self.path(f"videos/{video_uuid}{task.suffix}")

    def outcome(self, video_uuid: str) -> Outcome | None:
        """How the rendering of a video ended, None while it has not."""
        if video_uuid not in self._outcomes:
            fields = self.read_json(f"outcomes/{video_uuid}.json")
            if fields is None:
                return None
            self._outcomes[video_uuid] = Outcome(**fields)
        return self._outcomes[video_uuid]

    def add_outcome(self, video_uuid: str, outcome: Outcome) -> bool:
        """Keep how a rendering ended; False if another emulator was first, whose word then stands."""
        outcome = replace(outcome, by=self.name)
        try:
            self.write_json(f"outcomes/{video_uuid}.json", asdict(outcome), exclusive=True)
        except FileExistsError:
            return False
        self._outcomes[video_uuid] = outcome
        return True

    def address(self, video_uuid: str) -> int:
        """How many addresses of a video have expired, which is the number of the one to hand out."""
        return int((self.read_json(f"addresses/{video_uuid}.json") or {}).get("expired", 0))

    def serve_address(self, video_uuid: str, number: int, expiry: Expiry, *, counts: bool) -> bool:
        """Whether a video's address of that number serves a download now.

        The download that finds an address expired is what makes the next one be handed out, so that whoever asks
        twice before downloading gets the same one.

        Args:
            video_uuid: The video.
            number: Of the address.
            expiry: How its addresses expire.
            counts: Whether this is a download, or only a question about it.
        """
        name = f"addresses/{video_uuid}.json"
        with self._lock:
            state = {"expired": 0, "downloads": 0, **(self.read_json(name) or {})}
            if number != state["expired"]:
                return False
            if number >= expiry.addresses:
                return True
            serves = bool(state["downloads"] < expiry.after_downloads)
            if counts:
                after = {"downloads": state["downloads"] + 1} if serves else {"expired": number + 1, "downloads": 0}
                self.write_json(name, state | after)
            return serves

    # Media

    def put_media(self, content: bytes) -> str:
        """Keep bytes under their hash; returns the path below the folder."""
        name = f"media/{hashlib.sha256(content).hexdigest()}"
        if not self.path(name).exists():
            self._write(name, content)
        return name

    def add_upload(self, upload: UploadRecord) -> None:
        """Keep an upload."""
        self.write_json(f"uploads/{upload.media_uuid}.json", asdict(upload))

    def upload(self, media_uuid: str) -> UploadRecord | None:
        """The upload of that UUID."""
        fields = self.read_json(f"uploads/{media_uuid}.json")
        return None if fields is None else UploadRecord(**fields)

    def delete_upload(self, media_uuid: str) -> bool:
        """Forget an upload; False if there was none. Tasks that were accepted with it keep its bytes."""
        try:
            self.path(f"uploads/{media_uuid}.json").unlink()
        except FileNotFoundError:
            return False
        return True

    def remote(self, url: str) -> dict[str, Any]:
        """What `remote.json` says about a remote URL: `file` (below the folder), or `duration_s`."""
        entry = (self.read_json("remote.json") or {}).get(url, {})
        return entry if isinstance(entry, dict) else {}

    # Counts

    def count(self, name: str, times: int = 1) -> None:
        """Count something that happened, for the books."""
        with self._lock:
            self._counts[name] += times
            self.write_json(self._counts_name, dict(self._counts))

    def count_fault(self, name: str) -> None:
        """Count a fault that was given."""
        self.count(f"{_FAULT}{name}")

    def counts(self) -> dict[str, int]:
        """All that was counted by all emulators on this folder, faults aside."""
        total = self._total()
        return {name: total[name] for name in COUNTED}

    def fault_counts(self) -> dict[str, int]:
        """How often each fault was given; those that never were are not in it."""
        return {
            name.removeprefix(_FAULT): times for name, times in sorted(self._total().items()) if name.startswith(_FAULT)
        }

    def _total(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for fields in self._count_files():
            total.update(fields)
        return total

    def _count_files(self) -> Iterator[dict[str, int]]:
        for path in (self.root / "counts").glob("*.json"):
            fields = self.read_json(f"counts/{path.name}")
            if fields is not None:
                yield fields
