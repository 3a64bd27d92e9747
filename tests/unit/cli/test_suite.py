"""How commands reach the suite: a server of our own answers what gateways answer on bad days."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.cli.resources.following import follow
from deploy.cli.suite import NoKey, Refused, Suite, SuiteUnreachable, open_suite, suite_key, suite_url
from libs.errors import InvalidArgument

NOBODY = "http://127.0.0.1:1"

Answer = tuple[int, dict[str, str], str]


class Gateway(ThreadingHTTPServer):
    """Gives its answers one after the other; the last one again and again."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: list[dict[str, list[str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self.server.asked.append(parse_qs(urlsplit(self.path).query))
        status, headers, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gateway(*answers: Answer) -> Iterator[tuple[Suite, Gateway]]:
    server = Gateway(list(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    suite = Suite(f"http://127.0.0.1:{server.server_port}", "key")
    try:
        yield suite, server
    finally:
        suite.close()
        server.shutdown()
        thread.join()
        server.server_close()


def messages(*tokens: str, cut: bool = False) -> Answer:
    lines = "".join(json.dumps({"resumeToken": token}) + "\n" for token in tokens)
    return 200, {"Content-Length": str(len(lines) + 100)} if cut else {}, lines


def test_a_call_over_the_limit_is_made_again_when_the_gateway_says() -> None:
    with gateway((429, {"Retry-After": "0"}, "{}"), (200, {}, '{"name": "it"}')) as (suite, _):
        assert suite.get("/x") == {"name": "it"}


def test_a_refusal_tells_its_detail_and_reason() -> None:
    answer: Answer = (409, {}, '{"detail": "changed", "reason": "ETAG_MISMATCH"}')
    with gateway(answer) as (suite, _), pytest.raises(Refused, match="changed") as refused:
        suite.get("/x")

    assert (refused.value.status, refused.value.code_reason) == (409, "ETAG_MISMATCH")


def test_all_that_is_wrong_is_told_at_once() -> None:
    violations = [{"field": "a", "description": "too small"}, {"field": "b", "description": "too large"}]
    answer = (400, dict[str, str](), json.dumps({"detail": "a: too small (and 1 more)", "violations": violations}))
    with gateway(answer) as (suite, _), pytest.raises(Refused, match=r"^a: too small; b: too large$"):
        suite.get("/x")


def test_a_stream_that_breaks_goes_on_behind_the_last_message() -> None:
    pauses: list[float] = []
    with gateway(messages("1", "2", cut=True), (503, {}, "{}"), messages("3")) as (suite, server):
        stream = follow(suite, "/watch", sleep=pauses.append, filter="f")
        seen = [next(stream)["resumeToken"] for _ in range(3)]

    assert seen == ["1", "2", "3"]
    assert [asked.get("resumeToken") for asked in server.asked] == [None, ["2"], ["2"]]
    assert pauses == sorted(pauses)


def test_a_stream_that_never_began_tells_so_at_once() -> None:
    with pytest.raises(SuiteUnreachable, match="nobody answers"):
        next(follow(Suite(NOBODY, "key"), "/watch"))


def test_a_stream_is_given_up_when_the_suite_stays_away() -> None:
    with gateway(messages("1"), (503, {}, '{"detail": "away"}')) as (suite, _):
        stream = follow(suite, "/watch", sleep=lambda seconds: None, patience=30)
        next(stream)

        with pytest.raises(Refused, match="away"):
            next(stream)


def test_an_error_within_a_stream_is_no_message() -> None:
    problem = '{"error": {"status": 400, "detail": "the token is too old"}}\n'
    with gateway((200, {}, problem)) as (suite, _), pytest.raises(Refused, match="too old"):
        next(follow(suite, "/watch"))


@pytest.mark.parametrize("path", ["get", "watch"])
def test_another_server_is_not_taken_for_the_suite(path: str) -> None:
    with (
        gateway((200, {}, "<html>router</html>\n")) as (suite, _),
        pytest.raises(SuiteUnreachable, match="LOCKGROOVE_URL"),
    ):
        suite.get("/x") if path == "get" else next(follow(suite, "/watch"))


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(NoKey, match="LOCKGROOVE_API_KEY"), open_suite({"LOCKGROOVE_URL": NOBODY}):
        pass


@pytest.mark.parametrize("key", ["canary\n", "canäry"], ids=["line", "letter"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(NoKey, match="LOCKGROOVE_API_KEY") as told:
        suite_key({"LOCKGROOVE_API_KEY": key})

    assert key.strip() not in told.value.message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOCKGROOVE_URL", value) for value in ("nas:3006", "http://", "http://nas:many", "http://nas/ä")]
    + [("LOCKGROOVE_PORT", value) for value in ("many", "70000")],
)
def test_an_address_that_is_none_is_told_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=variable):
        suite_url({variable: value})
