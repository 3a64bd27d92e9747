"""The running suite, as a command reaches it: its REST API with a key from the environment."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deploy.cli.exits import Exit
from libs.addresses import local_url
from libs.errors import AppError, InvalidArgument, Unauthenticated, Unavailable, Violation

if TYPE_CHECKING:
    import httpx

TIMEOUT = 30.0  # seconds
SILENCE = 60.0  # seconds without a sign of life, after which a stream counts as dead: one comes every 15
KEY_VARIABLES = ("LOCKGROOVE_API_KEY", "LOCKGROOVE_ADMIN_KEY")

Document = dict[str, Any]

_TOO_MANY = 429
_WAITS = 5  # for the gateway's limits, before they are told
_LONGEST_WAIT = 60.0  # seconds


class SuiteUnreachable(Unavailable):
    """Nobody answers at the address of the gateway."""

    reason = "SUITE_UNREACHABLE"
    exit_status = Exit.UNREACHABLE


class NoKey(Unauthenticated):
    """No variable holds a key for the suite."""

    reason = "NO_KEY"


class Refused(AppError):
    """The suite answered with an error: `status` is that of HTTP."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        violations = [
            Violation(field=str(each.get("field", "")), description=str(each.get("description", "")))
            for each in problem.get("violations", ())
        ]
        told = str(problem.get("detail") or problem.get("title") or f"the suite answered {status}")
        if len(violations) > 1:  # the detail tells the first alone
            told = "; ".join(f"{each.field}: {each.description}" for each in violations)
        super().__init__(told, reason=str(problem.get("reason") or "REFUSED"), violations=violations)
        self.status = status


class Suite:
    """Calls the gateway; every method raises SuiteUnreachable or Refused."""

    def __init__(self, url: str, key: str | None) -> None:
        import httpx  # which a container that asks for health does not wait for

        self.url = url
        headers = {"X-Api-Key": key} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False)

    def get(self, path: str, **parameters: Any) -> Document:
        """A JSON answer; parameters that are None are left out."""
        return self._call("GET", path, params=_given(parameters))

    def post(self, path: str, body: Mapping[str, Any] | None = None, **parameters: Any) -> Document:
        """What the suite answers to a body."""
        return self._call("POST", path, json=body or {}, params=_given(parameters))

    def patch(self, path: str, body: Mapping[str, Any], **parameters: Any) -> Document:
        """What the suite answers to a change."""
        return self._call("PATCH", path, json=body, params=_given(parameters))

    def delete(self, path: str, **parameters: Any) -> Document:
        """What the suite answers to a removal."""
        return self._call("DELETE", path, params=_given(parameters))

    def pages(self, path: str, collection: str, **parameters: Any) -> Iterator[Document]:
        """Everything of a list, page after page."""
        token: str | None = None
        while True:
            page = self.get(path, **parameters, pageToken=token)
            yield from page.get(collection, ())
            if not (token := page.get("nextPageToken")):
                return

    def lines(self, path: str, **parameters: Any) -> Iterator[Document]:
        """The messages of a stream (NDJSON) until it ends."""
        import httpx

        asked = _given(parameters)
        timeout = httpx.Timeout(TIMEOUT, read=SILENCE)
        with _told(self.url), self._client.stream("GET", path, params=asked, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                raise _refused(answer)
            for line in answer.iter_lines():
                if line:
                    yield _message(line)

    def status_of(self, path: str) -> tuple[int, Document]:
        """The status and the document of an answer, an error or not; SuiteUnreachable if there is none."""
        with _told(self.url):
            answer = self._client.get(path)
        return answer.status_code, _document(answer)

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def _call(self, method: str, path: str, **request: Any) -> Document:
        for _ in range(_WAITS):
            with _told(self.url):
                answer = self._client.request(method, path, **request)
            if answer.status_code != _TOO_MANY:
                break
            time.sleep(_retry_after(answer))  # nothing was done: it may be asked again
        if answer.is_error:
            raise _refused(answer)
        if not (document := _document(answer)) and answer.content.strip() not in (b"", b"{}"):
            raise SuiteUnreachable(f"what answers at {self.url} is not Lockgroove: is LOCKGROOVE_URL right?")
        return document


@contextmanager
def open_suite(environment: Mapping[str, str] = os.environ, *, needs_key: bool = True) -> Iterator[Suite]:
    """The suite at LOCKGROOVE_URL, or where this machine's gateway listens. Raises NoKey."""
    key = suite_key(environment)
    if needs_key and key is None:
        raise NoKey(f"set {KEY_VARIABLES[0]} to a key of the suite: the first start printed the administrator's")
    suite = Suite(suite_url(environment), key)
    try:
        yield suite
    finally:
        suite.close()


def suite_key(environment: Mapping[str, str]) -> str | None:
    """The key that the environment holds; None where it holds none. Raises NoKey for one that cannot be sent."""
    for name in KEY_VARIABLES:
        if key := environment.get(name):
            if not (key.isascii() and key.isprintable()):
                raise NoKey(f"{name} holds more than a key: a line's end, maybe, or letters that no key has")
            return key
    return None


def suite_url(environment: Mapping[str, str]) -> str:
    """Where the gateway is, for programs of this machine. Raises InvalidArgument."""
    if url := environment.get("LOCKGROOVE_URL"):
        return _checked(url.rstrip("/"), "LOCKGROOVE_URL", "must be an address such as http://nas:3006")
    host = environment.get("LOCKGROOVE_HOST") or "127.0.0.1"
    port = environment.get("LOCKGROOVE_PORT") or "3006"
    return _checked(local_url(host, port), "LOCKGROOVE_PORT", "must be a port: a number from 1 to 65535")


def _checked(url: str, variable: str, wanted: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidArgument.field(variable, wanted)
    return url


@contextmanager
def _told(url: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise SuiteUnreachable(f"nobody answers at {url}: is the suite up, and LOCKGROOVE_URL right?") from error


def _refused(answer: "httpx.Response") -> Refused:
    return Refused(answer.status_code, _document(answer))


def _message(line: str) -> Document:
    """A message of a stream; an error that ends it is raised."""
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise SuiteUnreachable("what answers does not speak as Lockgroove does: is LOCKGROOVE_URL right?")
    if isinstance(problem := message.get("error"), dict):
        raise Refused(int(problem.get("status", 0)), problem)
    return message


def _retry_after(answer: "httpx.Response") -> float:
    try:
        seconds = float(answer.headers.get("retry-after", "1"))
    except ValueError:
        return 1.0
    return min(max(seconds, 0.1), _LONGEST_WAIT)


def _document(answer: "httpx.Response") -> Document:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
