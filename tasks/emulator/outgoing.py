"""One request that leaves the emulator: through no proxy, to no redirect, in a given time."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping

import httpx

from tasks.emulator.deliveries import Sending

__all__ = ["Line"]

_PIECE_BYTES = 65536


class Line:
    """Sends requests, each on a connection of its own. To be used in one event loop.

    It speaks to the transport, since a client would follow the environment's proxies and log whole addresses, which
    hold secrets.
    """

    def __init__(self) -> None:
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    async def send(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        cut_at: int | None = None,
    ) -> Sending:
        """Send one request, and wait for the answer.

        Args:
            method: Of HTTP.
            url: An http or https URL.
            content: The body.
            headers: Further ones; the body's length is among them anyway.
            timeout_s: Seconds for all of it.
            cut_at: Close the connection after so many bytes of the body.
        """
        began_at = time.time()
        body: bytes | AsyncIterator[bytes] = content
        if cut_at is not None:
            body = _first_bytes(content, cut_at)
        try:
            async with asyncio.timeout(timeout_s):
                all_headers = {**headers, "Content-Length": str(len(content))}
                request = httpx.Request(method, url, headers=all_headers, content=body)
                response = await self._transport(request.url.scheme).handle_async_request(request)
                try:
                    await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            return Sending(began_at, problem=f"no answer within {timeout_s:g} s")
        except _CutOffError:
            return Sending(began_at, problem="cut off")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            # What it says may name the address; its kind says enough.
            return Sending(began_at, problem=type(problem).__name__)
        return Sending(began_at, response.status_code)

    def _transport(self, scheme: str) -> httpx.AsyncHTTPTransport:
        if scheme not in self._transports:
            # Reading all certificates takes longer than most deliveries, and most need none.
            verify = ssl.create_default_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._transports[scheme] = httpx.AsyncHTTPTransport(verify=verify, limits=limits)
        return self._transports[scheme]

    async def close(self) -> None:
        """Close what is open."""
        for transport in self._transports.values():
            await transport.aclose()


async def _first_bytes(content: bytes, count: int) -> AsyncIterator[bytes]:
    for start in range(0, count, _PIECE_BYTES):
        yield content[start : min(count, start + _PIECE_BYTES)]
    # The connection does not outlive this.
    raise _CutOffError


class _CutOffError(Exception):
    """No more of the body is to be sent."""
