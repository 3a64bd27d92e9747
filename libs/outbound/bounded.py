"""A request to a server that may never come to an end: bounded in all its time and in its size."""

import asyncio
from typing import Any

from libs.outbound.http import httpx

LARGEST = 64 * 1024 * 1024  # bytes of an answer
_KEPT = ("Content-Type", "Date", "Retry-After", "Location")


async def bounded(
    http: httpx.AsyncClient, method: str, url: str, *, seconds: float, largest: int = LARGEST, **parts: Any
) -> httpx.Response:
    """The whole answer, without following redirects; `parts` are those of `httpx.AsyncClient.build_request`.

    Raises what httpx raises: ReadTimeout where it takes longer than `seconds`, however steadily it trickles, and
    RemoteProtocolError where it is larger than `largest` bytes.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _whole(http, http.build_request(method, url, **parts), largest)
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no whole answer in {seconds:g} s") from error


async def _whole(http: httpx.AsyncClient, request: httpx.Request, largest: int) -> httpx.Response:
    answer = await http.send(request, stream=True, follow_redirects=False)
    body = bytearray()
    try:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > largest:
                raise httpx.RemoteProtocolError(f"an answer of more than {largest} bytes")
    finally:
        await answer.aclose()
    headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}  # it is decompressed by now
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=request)
