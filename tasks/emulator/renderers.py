"""The pool that renders: as many clips at a time as there are processors."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from tasks.emulator.instant import InstantClips
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.render import RenderStoppedError, render
from tasks.emulator.state import StateStore

__all__ = ["Renderers"]

_LOG = logging.getLogger(__name__)


class Renderers:
    """Renders results in the background, each once at a time, in the order in which they were asked for.

    Its threads are daemons, so a process that forgets to stop it can still end.

    Args:
        store: Where inputs are and outcomes go.
        ended: Called when a result has ended here, in the thread in which it did.
        instant: Clips to hand out instead of rendering each.
    """

    def __init__(
        self,
        store: StateStore,
        ended: Callable[[TaskRecord, ResultRecord, Outcome], None],
        instant: InstantClips | None = None,
    ) -> None:
        self._store = store
        self._ended = ended
        self._instant = instant
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._queue: SimpleQueue[tuple[TaskRecord, ResultRecord] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"emulator-render-{number}", daemon=True)
            for number in range(os.cpu_count() or 1)
        ]
        for thread in self._threads:
            thread.start()

    def ensure(self, task: TaskRecord) -> None:
        """See to it that every result of a task has ended, or is being rendered. What is stuck stays so."""
        for result in task.results:
            if self._ends_at_once(task, result):
                continue
            with self._lock:
                if self._stopped.is_set() or result.video_uuid in self._at_work:
                    continue
                self._at_work.add(result.video_uuid)
                self._queue.put((task, result))

    def _ends_at_once(self, task: TaskRecord, result: ResultRecord) -> bool:
        if result.fate.stuck or self._store.outcome(result.video_uuid) is not None:
            return True
        if result.fate.failure is not None:
            self._end(task, result, Outcome.of_failure(result.fate.failure, time.time()))
        elif self._instant is not None and self._instant.hand_out(task, result):
            self._end(task, result, Outcome(time.time()))
        else:
            return False
        return True

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            task, result = item
            try:
                self._render(task, result)
            finally:
                with self._lock:
                    self._at_work.discard(result.video_uuid)

    def _render(self, task: TaskRecord, result: ResultRecord) -> None:
        if self._stopped.is_set() or self._store.outcome(result.video_uuid) is not None:
            return
        error = None
        try:
            if self._instant is None:
                render(task, result, self._store, self._stopped.is_set)
            else:
                self._instant.make(task, result, self._stopped.is_set)
        except RenderStoppedError:
            return
        except Exception as problem:  # noqa: BLE001  whatever went wrong is this task's outcome, told to who asks
            # What it says may name files of this machine, and is for the log.
            _LOG.exception("a clip could not be made")
            error = f"The clip could not be made ({type(problem).__name__})."
        self._end(task, result, Outcome(time.time(), error))

    def _end(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> None:
        if self._store.add_outcome(result.video_uuid, outcome):
            self._ended(task, result, outcome)

    def stop(self) -> None:
        """Give up what is being rendered and wait for the threads, which end within a frame."""
        self._stopped.set()
        for _thread in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
