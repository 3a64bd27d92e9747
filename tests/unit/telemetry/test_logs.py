"""Lines that a program can read, that name their request, and that keep secrets."""

import errno
import io
import json
import logging
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from libs.errors import InvalidArgument
from libs.telemetry import correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.logs import LogLevel, configure_logging
from libs.telemetry.tracing import entered

TRACE = Trace(trace_id="ab" * 16, span_id="cd" * 8)


class Output:
    """What was logged since the last look."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def output() -> Output:
    output = Output()
    configure_logging(level="info", stream=output.stream)
    return output


def test_a_line_is_one_json_object_with_its_values(output: Output) -> None:
    structlog.get_logger().info("delivery.failed", status=503, text="two\nlines")

    line = output.line()
    assert (line["event"], line["level"], line["status"], line["text"]) == (
        "delivery.failed",
        "info",
        503,
        "two\nlines",
    )


def test_the_time_is_utc_to_the_millisecond(output: Output) -> None:
    structlog.get_logger().info("now")

    text = output.line()["timestamp"]
    assert len(text) == len("2026-11-22T06:32:44.057Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 60


def test_a_line_names_its_service_request_and_trace(output: Output) -> None:
    def work() -> None:
        correlation.service.set("webhooks")
        correlation.request_id.set("r-1")
        with entered(TRACE):
            structlog.get_logger().info("now")

    copy_context().run(work)

    line = output.line()
    assert (line["service"], line["request_id"]) == ("webhooks", "r-1")
    assert (line["trace_id"], line["span_id"]) == ("ab" * 16, "cd" * 8)


def test_what_was_bound_around_a_line_is_in_it(output: Output) -> None:
    with bound_contextvars(job="acq-1"):
        structlog.get_logger().info("now")

    assert output.line()["job"] == "acq-1"


def test_below_the_level_nothing_is_written(output: Output) -> None:
    structlog.get_logger().debug("detail")

    assert output.lines() == []


def test_the_records_of_libraries_have_the_same_shape(output: Output) -> None:
    logging.getLogger("somebody.else").warning("took %s s", 3)

    line = output.line()
    assert (line["event"], line["level"]) == ("took 3 s", "warning")


def test_libraries_that_talk_too_much_are_heard_from_warning_on(output: Output) -> None:
    logging.getLogger("httpx").info("GET ...")
    logging.getLogger("httpx").warning("odd")

    assert output.line()["event"] == "odd"


def test_an_exception_is_in_the_same_line(output: Output) -> None:
    try:
        raise ValueError("the cause")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "ValueError: the cause" in output.line()["exception"]


SECRET_KEYS = """
api_key apikey apiKey X-Api-Key X_Api_Key lidarr_api_key lidarr.apiKey authorization Authorization cookie Set-Cookie
password secret secrets secret_key webhookSecret webhook_secret token page_token credentials
"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_a_value_whose_key_names_a_secret_is_hidden(output: Output, key: str) -> None:
    structlog.get_logger().info("now", **{key: "hunter2"})

    assert output.line()[key] == "[redacted]"


def test_secrets_are_hidden_at_any_depth(output: Output) -> None:
    structlog.get_logger().info("now", settings={"lidarr": [{"api_key": "hunter2", "url": "http://nas"}]})

    assert output.line()["settings"] == {"lidarr": [{"api_key": "[redacted]", "url": "http://nas"}]}


def test_header_names_with_dashes_are_secrets_too(output: Output) -> None:
    structlog.get_logger().info("now", headers={"X-Api-Key": "hunter2", "X-Webhook-Secret": "hunter2", "Accept": "a"})

    assert output.line()["headers"] == {"X-Api-Key": "[redacted]", "X-Webhook-Secret": "[redacted]", "Accept": "a"}


def test_secrets_in_query_strings_are_hidden(output: Output) -> None:
    structlog.get_logger().info("called", url="http://nas/api?apikey=hunter2&page=2&code=hunter2")

    assert output.line()["url"] == "http://nas/api?apikey=[redacted]&page=2&code=[redacted]"


def test_a_key_that_only_sounds_like_a_secret_is_shown(output: Output) -> None:
    structlog.get_logger().info("now", key_count=2, tokenizer="a", status_code=5)

    assert (output.line()["key_count"], output.line()["tokenizer"], output.line()["status_code"]) == (2, "a", 5)


def test_a_value_that_json_does_not_know_is_written_as_text(output: Output) -> None:
    structlog.get_logger().info("now", when=datetime(2026, 1, 1, tzinfo=UTC))

    assert output.line()["when"] == "2026-01-01 00:00:00+00:00"


def test_lines_for_people_have_no_braces(output: Output) -> None:
    configure_logging(json=False, stream=output.stream)

    structlog.get_logger().info("server.started", address="127.0.0.1:1")

    assert "server.started" in output.stream.getvalue()
    assert "{" not in output.stream.getvalue()


def test_an_unknown_level_is_refused_by_its_variable() -> None:
    with pytest.raises(InvalidArgument, match=r"LOCKGROOVE_LOG_LEVEL: must be one of .*INFO"):
        configure_logging(level="loud")


class FullDisk(io.StringIO):
    """A file on a disk without space."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def closed_pipe() -> io.StringIO:
    pipe = io.StringIO()
    pipe.close()
    return pipe


@pytest.mark.parametrize("stream", [FullDisk(), closed_pipe()], ids=["full disk", "closed pipe"])
def test_work_goes_on_where_its_log_cannot(stream: io.StringIO) -> None:
    configure_logging(stream=stream)

    structlog.get_logger().info("event")


def heard(output: Output) -> list[tuple[str, str]]:
    """Who was heard of what he said, at a level that is usually too low."""
    structlog.get_logger().debug("detail")
    logging.getLogger("somebody.else").debug("detail")
    return [(line["event"], line["level"]) for line in output.lines()]


def test_a_louder_level_holds_at_once_for_us_and_for_libraries(output: Output) -> None:
    LogLevel().follow("DEBUG")

    assert heard(output) == [("log.level_changed", "info"), ("detail", "debug"), ("detail", "debug")]


def test_a_logger_that_was_there_before_follows_too(output: Output) -> None:
    log = structlog.get_logger()
    log.info("before")
    LogLevel().follow("ERROR")
    log.warning("after")

    assert [line["event"] for line in output.lines()] == ["before", "log.level_changed"]


def test_without_a_wish_the_level_is_that_of_the_environment(output: Output) -> None:
    level = LogLevel("DEBUG")
    level.follow("ERROR")
    level.follow(None)

    assert heard(output)[-2:] == [("detail", "debug"), ("detail", "debug")]


def test_nothing_is_told_of_a_level_that_stays(output: Output) -> None:
    LogLevel("info").follow("INFO")

    assert output.lines() == []
