"""One exchange with a provider: bounded in time and size, on one host, and read as JSON or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from libs.outbound.errors import ProviderBusy, ProviderRefused, ProviderUnavailable
from libs.outbound.http import httpx
from libs.outbound.metrics import Call
from libs.outbound.provider import Provider, Question

CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
REDIRECTS = 3
LONGEST_REST = timedelta(hours=1)  # however long a provider asks for

_NOT_FOUND, _TIMEOUT, _TOO_MANY = 404, 408, 429


async def exchange(http: httpx.AsyncClient, provider: Provider, question: Question, call: Call) -> Any | None:
    """The JSON that is answered, or None for "there is no such thing".

    Raises:
        ProviderUnavailable: no answer, a status that says so, or something that is no JSON.
        ProviderRefused: another status that is no success.
    """
    try:
        async with asyncio.timeout(provider.timeout.total_seconds()):
            answer, body = await _fetched(http, provider, question)
    except (TimeoutError, httpx.TimeoutException) as error:
        call.status = "timeout"
        raise _unavailable(provider, "did not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unavailable(provider, f"cannot be reached ({type(error).__name__})") from None  # it may name the URL
    call.answered(answer.status_code)
    return _judged(provider, answer, body, call)


async def _fetched(http: httpx.AsyncClient, provider: Provider, question: Question) -> tuple[httpx.Response, bytes]:
    url = httpx.URL(question.url, params={**question.params, **question.secrets})
    for _ in range(REDIRECTS + 1):
        request = http.build_request(
            "GET",
            url,
            headers={"Accept": "application/json", **question.headers},
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )
        answer = await http.send(request, stream=True, follow_redirects=False)
        try:
            if not answer.has_redirect_location:
                return answer, await _body(provider, answer)
        finally:
            await answer.aclose()
        url = _followed(provider, url, answer)
    raise _unavailable(provider, "redirects again and again")


async def _body(provider: Provider, answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > provider.largest:
            raise _unavailable(provider, f"answers with more than {provider.largest} bytes")
    return bytes(body)


def _followed(provider: Provider, before: httpx.URL, answer: httpx.Response) -> httpx.URL:
    """Where a redirect leads: on the same server, or to the same name with TLS."""
    after = before.join(answer.headers["Location"])
    same = (after.scheme, after.host, after.port) == (before.scheme, before.host, before.port)
    safer = (before.scheme, after.scheme, after.host) == ("http", "https", before.host) and after.port is None
    if not (same or safer):
        raise _unavailable(provider, f"redirects to another server ({after.host or 'none'})")
    return after


def _judged(provider: Provider, answer: httpx.Response, body: bytes, call: Call) -> Any | None:
    status = answer.status_code
    if status == _TOO_MANY:
        raise ProviderBusy(
            f"{provider.name} asks us to slow down", metadata=_metadata(provider), retry_after=_rest(answer)
        )
    if status >= 500 or status == _TIMEOUT:
        raise _unavailable(provider, f"answered {status}", retry_after=_rest(answer))
    if not answer.is_success and status != _NOT_FOUND:
        raise ProviderRefused(f"{provider.name} answered {status}", status=status)
    try:
        document = _json(answer, body)
    except ValueError as error:
        call.status = "unreadable"
        raise _unavailable(provider, "does not answer in JSON") from error
    return None if status == _NOT_FOUND else document


def _json(answer: httpx.Response, body: bytes) -> Any:
    kind = answer.headers.get("Content-Type", "json").lower()
    if "json" not in kind and "javascript" not in kind:  # a page of somebody in between
        raise ValueError("not JSON by its own account")
    if b"\\u0000" in body:  # no name has one, and no database takes it
        raise ValueError("a NUL")
    return orjson.loads(body)


def _rest(answer: httpx.Response) -> timedelta | None:
    """How long to leave the provider alone: Retry-After in seconds or as a date (RFC 9110, section 10.2.3)."""
    told = answer.headers.get("Retry-After", "")
    if told.isascii() and told.isdigit():
        return min(timedelta(seconds=min(int(told), 86_400)), LONGEST_REST)
    try:
        moment, now = _moment(told), _moment(answer.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return max(timedelta(), min(moment - now, LONGEST_REST))


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unavailable(provider: Provider, what: str, *, retry_after: timedelta | None = None) -> ProviderUnavailable:
    return ProviderUnavailable(f"{provider.name} {what}", metadata=_metadata(provider), retry_after=retry_after)


def _metadata(provider: Provider) -> dict[str, str]:
    return {"provider": provider.name}
