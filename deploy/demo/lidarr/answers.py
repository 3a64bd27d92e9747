"""How the pretended Lidarr says no: the three shapes of 400, and the rest of its statuses."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.demo.lidarr.resources import Json

Endpoint = Callable[[Request], Awaitable[Response]]


class RefusedError(Exception):
    """An answer other than the one the route is for."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def violations(*entries: Json) -> RefusedError:
    """A rule was broken: 400 with an array."""
    return RefusedError(400, list(entries))


def not_found(what: str) -> RefusedError:
    """The id is unknown: 404."""
    return RefusedError(404, {"message": f"{what} not found"})


def internal_error(message: str) -> RefusedError:
    """Something was not handled: 500 with a stack trace for a description."""
    return RefusedError(
        500, {"message": message, "description": f"System.Exception: {message}\n   at Lidarr.Invented.Trace()"}
    )


def metadata_unavailable() -> RefusedError:
    """The metadata service is away: 503."""
    return RefusedError(503, {"message": "Search for 'album' failed. Unable to communicate with LidarrAPI."})


async def body_of(request: Request) -> Any:
    """The JSON of the request. Raises RefusedError with a problem-details object if it cannot be read."""
    try:
        return json.loads(await request.body())
    except ValueError as error:
        title = "One or more validation errors occurred."
        raise RefusedError(400, {"title": title, "status": 400, "errors": {"$": [str(error)]}}) from error


async def object_of(request: Request) -> Json:
    """The JSON object of the request. Raises RefusedError like `body_of`."""
    body = await body_of(request)
    if not isinstance(body, dict):
        title = "One or more validation errors occurred."
        raise RefusedError(400, {"title": title, "status": 400, "errors": {"$": ["an object is wanted"]}})
    return body


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with what it refuses turned into an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as refused:
            return JSONResponse(refused.body, refused.status)

    return answer


def flag(request: Request, name: str, *, default: bool) -> bool:
    """A boolean of the query string."""
    value = request.query_params.get(name)
    return default if value is None else value.lower() == "true"
