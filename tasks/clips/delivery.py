"""Direct delivery: the provider puts clips into the clip store itself, and no byte of them passes through here.

Each request names an address that is good for one object of the store. What arrives there is found by the attempt's
taskUUID, also by a later run and by another machine, whether or not they ask for deliveries themselves. What does not
arrive is downloaded, as everything is without it: what is known of deliveries is little, and the clip is paid for.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from tasks.clips.record import ClipRecord, Origin
from tasks.clips.store import ClipStore
from tasks.errors import (
    ContentRefused,
    ProviderError,
    RequestRejected,
    SettingsError,
    ShotchainError,
    StorageUnreachable,
)
from tasks.ledger import Attempt
from tasks.presigned import Reach, can_sign, reach_of, try_upload, upload_address
from tasks.progress import Event, Observer, Stage
from tasks.runware.messages import VideoResult
from tasks.runware.pauses import Pauses
from tasks.settings import Settings

__all__ = ["Deliveries", "is_of_delivery", "suffix_of"]

_SUFFIXES: Final = frozenset({".mp4", ".mov", ".webm"})
_VALID_S: Final = 86_400.0
_FORMATS: Final = {"MOV": ".mov", "WEBM": ".webm"}
# After so many in a row that did not arrive, none is waited for: they will not come.
_MOST_MISSED: Final = 2
_ENDPOINT: Final = re.compile(r"upload[-_ ]?(endpoint|url)", re.IGNORECASE)
_PUTTING: Final = re.compile(r"upload|deliver|presign", re.IGNORECASE)


class Deliveries:
    """The deliveries of one run, or one recovery.

    Args:
        settings: Whether they are asked for, how long one is waited for, and where the provider is.
        store: Where they go.
        observer: Is told where there are none, and why.
        pauses: How long to wait between two looks.
    """

    def __init__(self, settings: Settings, store: ClipStore, observer: Observer, pauses: Pauses | None = None) -> None:
        self._settings = settings
        self._store = store
        self._observe = observer
        self._pauses = pauses or Pauses()
        self._is_asked = settings.direct_delivery
        self._may_arrive = can_sign(store.root)
        self._addressed: set[str] = set()
        self._plain: set[str] = set()
        self._spoiled: set[str] = set()
        self._refused: set[str] = set()
        self._missed = 0
        self._is_tried = False
        self._trying = asyncio.Lock()

    async def address(self, attempt: Attempt) -> str | None:
        """Where the provider is to put the clip of an attempt: a secret. None where clips are downloaded.

        Before the first, we put something ourselves: a clock or a rule of the bucket that is wrong is to cost nothing.
        An address holds for a day, or twice as long as a result is waited for: a task may stand in a queue for long.
        """
        address = await self._address(attempt.task_uuid)
        if address is not None:
            self._addressed.add(attempt.task_uuid)
        elif not attempt.posts:
            self._plain.add(attempt.task_uuid)
        return address

    async def _address(self, task_uuid: str) -> str | None:
        if not self._is_asked:
            return None
        place = self._store.incoming(task_uuid)
        try:
            address = await asyncio.to_thread(upload_address, place, max(_VALID_S, 2 * self._settings.deadline_s))
            self._check_reach(address)
            async with self._trying:
                if not self._is_tried:
                    await asyncio.to_thread(try_upload, self._store.incoming_folder)
                    self._is_tried = True
        except (SettingsError, StorageUnreachable) as error:
            self._give_up(error)
            return None
        return None if self._has_given_up() else address  # for another attempt, meanwhile

    def _has_given_up(self) -> bool:
        return not self._is_asked

    async def received(self, attempt: Attempt) -> bool:
        """Whether the clip of an attempt lies in our own store: then it was made, whatever the provider says of it.

        Raises:
            StorageUnreachable: The store does not answer.
        """
        uuid = attempt.task_uuid
        return self._may_arrive and uuid not in self._spoiled and await self._store.received(uuid)

    async def arrived(
        self, attempt: Attempt, result: VideoResult, key: str, origin: Origin, *, waits: bool = True
    ) -> ClipRecord | None:
        """Keep what was delivered of a paid attempt; None where nothing was, and none is to be waited for any more.

        A result may be told before its clip has come.

        Args:
            attempt: The attempt.
            result: Its result.
            key: The content key under which the clip is kept.
            origin: What its record says.
            waits: Whether to wait for it at all.

        Raises:
            StorageUnreachable: The store does not answer, or refuses.
        """
        if not self._may_arrive or attempt.task_uuid in self._spoiled:
            return None
        suffix = suffix_of(result, attempt)
        until_s = asyncio.get_running_loop().time() + (self._left_s(attempt) if waits else 0.0)
        turn = 0
        while True:
            turn += 1
            record = await self._store.deliver(attempt.task_uuid, key, suffix, origin)
            if record is not None:
                self._missed = 0
                return record
            if (left_s := until_s - asyncio.get_running_loop().time()) <= 0:
                break
            await asyncio.sleep(min(left_s, self._pauses.backoff_s(turn, first_s=0.25, most_s=2.0)))
        if attempt.task_uuid in self._addressed:
            self._addressed.discard(attempt.task_uuid)
            self._missed += 1
            self._say(attempt, "its clip was not delivered into the clip store; downloading it")
        return None

    async def taken_in(self, attempt: Attempt) -> None:
        """Clear away what was put, now that the clip is in its place. What cannot be is told, and left for gc."""
        self._addressed.discard(attempt.task_uuid)
        try:
            await self._store.drop_incoming(attempt.task_uuid)
        except StorageUnreachable as error:
            self._say(attempt, f"what was delivered is stored, and lies in {self._store.root.shown} twice: {error}")

    def is_no_clip(self, task_uuid: str) -> None:
        """What was delivered for this attempt is no whole clip: it is taken in no more, should it lie there still."""
        self._spoiled.add(task_uuid)

    def was_refused(self, attempt: Attempt, error: ShotchainError) -> bool:
        """Whether an attempt failed for the sake of its delivery. If so, this run asks for no more of them.

        It may be an earlier run that had asked for this one. What was sent from here without an address did not.
        """
        if not self._may_arrive or attempt.task_uuid in self._plain or not is_of_delivery(error):
            return False
        self._addressed.discard(attempt.task_uuid)
        self._refused.add(attempt.task_uuid)
        self._give_up(error)
        return True

    def has_refused(self, task_uuid: str) -> bool:
        """Whether that was said of this attempt: it failed for the sake of its delivery."""
        return task_uuid in self._refused

    def _left_s(self, attempt: Attempt) -> float:
        """Seconds for which a delivery is still waited for, counted from when the result was known."""
        if not self._is_asked or self._missed >= _MOST_MISSED or attempt.finished_at is None:
            return 0.0
        since_s = (datetime.now(UTC) - attempt.finished_at).total_seconds()
        return self._settings.delivery_grace_s - max(0.0, since_s)

    def _check_reach(self, address: str) -> None:
        """See that the provider can come to where it is sent, as far as names of hosts tell."""
        reach = reach_of(address)
        if self._settings.identity == "emulator":
            if reach is not Reach.MACHINE:
                raise SettingsError("the emulator inside sends nothing anywhere else than to this machine")
        elif reach < reach_of(self._settings.base_url):
            raise SettingsError(f"the provider cannot come to {urlsplit(address).hostname}, where the clip store is")

    def _give_up(self, error: ShotchainError) -> None:
        if not self._is_asked:
            return  # it was told, for another attempt
        self._is_asked = False
        self._observe(Event(Stage.NOTE, message=f"clips are downloaded, not delivered: {error.message}"))

    def _say(self, attempt: Attempt, message: str) -> None:
        self._observe(Event(Stage.NOTE, attempt.shot, attempt.take, message=message))


def is_of_delivery(error: ShotchainError) -> bool:
    """Whether the provider says that a clip could not be put where it was to go, of a task that was to be delivered.

    How it says so is not documented. What is taken for it is not bought again before somebody knows what it cost, so
    whatever speaks of uploading is, unless it names another parameter, or refuses what the user has written.
    """
    if not isinstance(error, ProviderError) or isinstance(error, ContentRefused):
        return False
    said = f"{error.code or ''} {error.message}"
    if error.parameter is not None:
        return _ENDPOINT.search(error.parameter) is not None
    return (_ENDPOINT if isinstance(error, RequestRejected) else _PUTTING).search(said) is not None


def suffix_of(result: VideoResult, attempt: Attempt) -> str:
    """The suffix of a clip's file: as its address has it, else as it was asked for."""
    suffix = PurePosixPath(result.video_url.partition("?")[0]).suffix.lower()
    asked = _FORMATS.get(str(attempt.request.get("outputFormat", "MP4")).upper(), ".mp4")
    return suffix if suffix in _SUFFIXES else asked
