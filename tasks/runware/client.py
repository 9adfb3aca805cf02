"""One client of the Runware REST API, as thin as money allows.

It sends each request once. What a lost reply means is told by the error: `ProviderUnreachable` says that nothing
left, `OutcomeUnknown` that the request may have been accepted. Trying again is decided elsewhere, where the ledger
is at hand.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tasks.errors import (
    Charged,
    ContentRefused,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderUnreachable,
    RateLimited,
    RequestRejected,
    SettingsError,
    ShotchainError,
)
from tasks.redaction import MASK, redact
from tasks.runware.failures import (
    CONFLICT,
    failure_from_error,
    failure_from_status,
    is_not_found,
    is_verdict,
    verdict_of,
)
from tasks.runware.messages import Reply, VideoResult, named_task, parse_reply, read_reply

__all__ = ["RunwareClient", "is_conflict"]

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CHUNK = 3 * 64 * 1024  # a multiple of 3, so that base64 chunks join without padding


class RunwareClient:
    """A connection to one Runware account. Use as an async context manager.

    Args:
        base_url: The API's address, version path included.
        api_key: Sent as a bearer token, and kept out of every message.
        transport: How requests travel; the seam for tests.
        timeout_s: For one request. Answers come at once here: waiting for a video is polling.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self._base_url = base_url
        self._secrets: tuple[str, ...] = (api_key,)
        self._signed: tuple[str, ...] = ()
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=15.0),
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "shotchain"},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            follow_redirects=False,
        )
        # Results lie on another host, which has no business with our key.
        self._downloads = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=15.0),
            # Unpacked on the way, a file could not be held against its announced length.
            headers={"User-Agent": "shotchain", "Accept-Encoding": "identity"},
            follow_redirects=True,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        await self._downloads.aclose()

    def hide(self, *secrets: str) -> None:
        """Mask these, too, in whatever the provider says from now on, however it comes by them."""
        self._secrets += tuple(secret for secret in secrets if secret not in self._secrets)
        self._signed = self._secrets[1:]

    async def submit(self, request: Mapping[str, Any]) -> list[VideoResult]:
        """Submit one `videoInference` task; returning means that it was accepted.

        Returns:
            Results that were there at once: none, as a rule.

        Raises:
            ProviderUnreachable: It surely did not leave.
            OutcomeUnknown: It may have been accepted.
            RateLimited: Not now; with `charged` unknown where a gateway said so and may be wrong.
            RequestRejected: With code `conflictTaskUUID`: the provider already has a task of this UUID.
            ShotchainError: Any other refusal, as `failure_from_error` tells them apart.
        """
        task_uuid = str(request["taskUUID"])
        reply = await self._post([request])
        if reply.is_known(task_uuid):
            return reply.results_of(task_uuid)
        error = reply.error_of(task_uuid, alone=True)
        failure = self._failure(error, reply) if error else failure_from_status(reply)
        if isinstance(failure, RateLimited) and reply.status_code >= 500:
            # It should mean that there was no room; but a gateway that says so may have passed the request on.
            failure.charged = Charged.UNKNOWN
        elif failure is None or self._is_doubtful(failure, error, reply):
            raise OutcomeUnknown(
                f"the provider's answer (HTTP {reply.status_code}) does not say whether it took the task",
                task_uuid=task_uuid,
            )
        failure.task_uuid = task_uuid
        raise failure

    async def get_responses(self, task_uuids: Sequence[str]) -> Reply:
        """Ask about many tasks in one request.

        Raises:
            ShotchainError: The request as a whole failed; transient or not as the error says.
        """
        reply = await self._ask([{"taskType": "getResponse", "taskUUID": task_uuid} for task_uuid in task_uuids])
        return self._whole(reply)

    async def task_details(self, task_uuid: str) -> Reply:
        """What the provider keeps of a task that was executed, in the form of a `getResponse` reply.

        Raises:
            ShotchainError: See `get_responses`.
        """
        reply = self._whole(await self._ask([{"taskType": "getTaskDetails", "taskUUID": task_uuid}]))
        for item in reply.data_of(task_uuid):
            response = item.get("response")
            # Knowing a task without a response to show is knowing it all the same.
            known = {"taskUUID": task_uuid, "status": "processing"}
            kept = read_reply(reply.status_code, response)
            return kept if kept.data or kept.errors else Reply(reply.status_code, data=(known,))
        return Reply(reply.status_code, errors=reply.errors)

    def verdict_of(self, reply: Reply, task_uuid: str, *, alone: bool = False) -> ShotchainError | None:
        """See `tasks.runware.failures.verdict_of`; this client's key is masked in it."""
        return verdict_of(reply, task_uuid, alone=alone, secrets=self._secrets)

    async def upload(self, path: Path, media_type: str) -> str:
        """Upload a local picture or video, streamed, and return its UUID at the provider.

        Pictures go by `imageUpload`, videos to the media storage.

        Raises:
            ShotchainError: It was not stored.
        """
        task_uuid = str(uuid.uuid4())
        is_image = media_type.startswith("image/")
        task = {"taskType": "imageUpload"} if is_image else {"taskType": "mediaStorage", "operation": "upload"}
        head = json.dumps({**task, "taskUUID": task_uuid})[:-1]
        prefix = f'[{head}, "{"image" if is_image else "media"}": "data:{media_type};base64,'.encode()
        suffix = b'"}]'
        size = (await asyncio.to_thread(path.stat)).st_size
        length = len(prefix) + 4 * ((size + 2) // 3) + len(suffix)

        async def body() -> AsyncIterator[bytes]:
            yield prefix
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    yield base64.b64encode(chunk)
            yield suffix

        try:
            response = await self._http.post(
                self._base_url,
                content=body(),
                headers={"Content-Type": "application/json", "Content-Length": str(length)},
                timeout=httpx.Timeout(600.0, connect=15.0),
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SettingsError(self._words("the base URL is not one", error)) from error
        except httpx.HTTPError as error:
            raise ProviderUnreachable(self._words(f"the upload of {path.name} failed", error)) from error
        reply = parse_reply(response.status_code, response.content, response.headers.get("Retry-After"))
        failed = reply.error_of(task_uuid, alone=True)
        if failed is not None:
            raise _free(self._failure(failed, reply))
        for item in reply.data_of(task_uuid):
            stored = item.get("imageUUID" if is_image else "mediaUUID")
            if isinstance(stored, str):
                return stored
        raise _free(failure_from_status(reply) or ProviderFailed(f"the provider did not store {path.name}"))

    def download(self, url: str) -> AbstractAsyncContextManager[httpx.Response]:
        """Open a result for reading: an async context manager giving the `httpx.Response`, not yet read."""
        return self._downloads.stream("GET", url)

    async def _post(self, tasks: Sequence[Mapping[str, Any]]) -> Reply:
        try:
            response = await self._http.post(self._base_url, json=list(tasks))
        except _NOT_SENT as error:
            raise ProviderUnreachable(
                self._words(f"{redact(self._base_url)} cannot be reached", error),
                advice="Check the network and --base-url, then run the same command again; what is paid is kept.",
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SettingsError(self._words("the base URL is not one", error)) from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(self._words("the reply was lost", error)) from error
        content = response.content
        for secret in self._signed:
            content = content.replace(secret.encode(), MASK.encode())
        return parse_reply(response.status_code, content, response.headers.get("Retry-After"))

    async def _ask(self, tasks: Sequence[Mapping[str, Any]]) -> Reply:
        """Send what costs nothing, so that a lost reply is only a failed question."""
        try:
            return await self._post(tasks)
        except OutcomeUnknown as error:
            raise ProviderUnreachable(error.message) from error

    def _whole(self, reply: Reply) -> Reply:
        """Raise where the question as a whole failed, rather than what it asked about."""
        if reply.data or any(is_verdict(error, reply.status_code) or is_not_found(error) for error in reply.errors):
            return reply
        if reply.errors:
            raise self._failure(reply.errors[0], reply)
        failure = failure_from_status(reply)
        if failure is None and not reply.readable:
            failure = ProviderFailed("the provider's answer cannot be read", code=f"http{reply.status_code}")
        if failure is not None:
            raise failure
        return reply

    @staticmethod
    def _is_doubtful(failure: ShotchainError, error: Mapping[str, Any] | None, reply: Reply) -> bool:
        """Whether the task may have been taken for all that the answer to its submission says."""
        if reply.status_code >= 500:
            # A server that fails while it answers may have taken the task before, whatever it calls that. Only a word
            # about one parameter of this task is a refusal.
            return not (isinstance(failure, RequestRejected | ContentRefused) and error and error.get("parameter"))
        # So may a gateway that gave up waiting (408), or whoever fails without naming a task: one that failed is named.
        is_nobodys = error is None or reply.status_code == 408 or (failure.transient and named_task(error) is None)
        return is_nobodys and isinstance(failure, ProviderError) and failure.charged is not Charged.NO

    def _failure(self, error: Mapping[str, Any], reply: Reply) -> ShotchainError:
        return failure_from_error(
            error, status_code=reply.status_code, retry_after_s=reply.retry_after_s, secrets=self._secrets
        )

    def _words(self, what: str, error: Exception) -> str:
        why = redact(str(error), *self._secrets) or type(error).__name__
        return f"{what}: {why}"


def _free(failure: ShotchainError) -> ShotchainError:
    """The failure of what costs nothing."""
    failure.charged = Charged.NO
    return failure


def is_conflict(error: ShotchainError) -> bool:
    """Whether the provider says that it already has a task of this UUID."""
    return getattr(error, "code", None) == CONFLICT
