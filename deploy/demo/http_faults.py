"""What goes wrong with services on the web, on demand."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

_LARGE = 32 * 1024 * 1024
_PAGE = "<!doctype html><title>Please sign in</title>"

Endpoint = Callable[[Request], Awaitable[Response]]


class Fault(StrEnum):
    """One way to fail a request."""

    UNAVAILABLE = "503"
    BUSY = "429 with Retry-After"
    RESTING = "503 with Retry-After"
    REFUSED = "403"
    PAGE = "HTML with status 200"
    LOST_PAGE = "HTML with status 404"
    HALF = "half a JSON"
    OTHER = "a JSON of something else"
    SLOW = "an answer that takes its time"
    SILENT = "no answer"
    ELSEWHERE = "a redirect to another server"
    LARGE = "an answer that is too large"


class Faults:
    """The next requests get the faults in `queue`, one each; then all get `always`, while it is set."""

    def __init__(self, *, retry_after: str = "1", delay: float = 0.2) -> None:
        self.queue: list[Fault] = []
        self.always: Fault | None = None
        self.retry_after = retry_after
        self.delay = delay  # seconds of a slow answer
        self.date: str | None = None  # what the server takes for now, where it is not the time

    def spoiling(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with its faults."""

        async def answer(request: Request) -> Response:
            fault = self.queue.pop(0) if self.queue else self.always
            return await endpoint(request) if fault is None else await self._spoiled(fault, request, endpoint)

        return answer

    async def _spoiled(self, fault: Fault, request: Request, endpoint: Endpoint) -> Response:
        if fault is Fault.SILENT:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response(status_code=204)  # that nobody hears
        if fault is Fault.SLOW:
            await asyncio.sleep(self.delay)
            return await endpoint(request)
        if fault is Fault.HALF:
            whole = bytes((await endpoint(request)).body)
            return Response(whole[: len(whole) // 2], media_type="application/json")
        return self._instead(fault)

    def _instead(self, fault: Fault) -> Response:
        later = {"Retry-After": self.retry_after} | ({"Date": self.date} if self.date else {})
        answers: dict[Fault, Callable[[], Response]] = {
            Fault.UNAVAILABLE: lambda: JSONResponse({"error": "overloaded"}, 503),
            Fault.BUSY: lambda: JSONResponse({"error": "too fast"}, 429, headers=later),
            Fault.RESTING: lambda: JSONResponse({"error": "overloaded"}, 503, headers=later),
            Fault.REFUSED: lambda: JSONResponse({"error": "forbidden"}, 403),
            Fault.PAGE: lambda: HTMLResponse(_PAGE),
            Fault.LOST_PAGE: lambda: HTMLResponse(_PAGE, 404),
            Fault.OTHER: lambda: JSONResponse(["something", "else"]),
            Fault.ELSEWHERE: lambda: RedirectResponse("http://192.0.2.1/login"),
            Fault.LARGE: lambda: JSONResponse("x" * _LARGE),
        }
        return answers[fault]()
