"""One JSON object a line: what happened, to whom, in which request and trace; secrets never."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO, cast

from libs.errors import InvalidArgument
from libs.telemetry import correlation
from libs.telemetry.logger import structlog

_SECRET = re.compile(
    r"(^|[^a-z])(api[_-]?key|password|passwd|secret|secret[_-]key|token|authorization|cookie|credential)s?$"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # of camelCase
_SECRET_IN_QUERY = re.compile(r"(?i)([?&](?:code|state|token|api_?key|secret|password)=)[^&\s\"']+")
_REDACTED = "[redacted]"
_NOISY = ("aioslsk", "alembic", "asyncio", "grpc", "httpcore", "httpx", "opentelemetry", "uvicorn.access")

Event = MutableMapping[str, Any]


def configure_logging(*, level: str = "info", json: bool = True, stream: TextIO = sys.stdout) -> None:
    """Sends structlog's events and every library's log records to `stream`, as JSON or for human eyes."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=None, utc=True),
        _correlate,
        structlog.processors.format_exc_info,
        redact,
    ]
    rendering: list[structlog.typing.Processor] = [_utc_milliseconds, _renderer(json)]
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Unfailing(stream))),
        cache_logger_on_first_use=False,
    )
    _route_libraries(stream, shared, rendering)
    set_level(level_number(level))


class LogLevel:
    """How much a process logs: as its environment says, unless the settings say otherwise."""

    def __init__(self, own: str = "INFO") -> None:
        self._own = own

    def follow(self, wished: str | None) -> None:
        """Logs as much as is wished from now on; as much as the environment says with None."""
        name = (wished or self._own).upper()
        before, number = logging.getLogger().level, level_number(name)
        if number < before:
            set_level(number)
        if number != before:  # told while more is logged
            structlog.get_logger().info("log.level_changed", level=name)
        set_level(number)


def set_level(number: int) -> None:
    """Logs what is of this level or above, of libraries too; noisy ones never say less than a warning."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(number)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _Unfailing:
    """A stream for logs: a full disk or a closed pipe ends the log, and not what it tells about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def level_number(level: str) -> int:
    """The number of a level's name; raises InvalidArgument for a name that is none."""
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise InvalidArgument.field("LOCKGROOVE_LOG_LEVEL", f"must be one of {', '.join(known)}")
    return known[level.upper()]


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Hides values whose key names a secret, at any depth, and secrets in query strings."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: object) -> object:
    if value is not None and _is_secret(key):
        return _REDACTED
    if isinstance(value, Mapping):
        return {name: _redacted(str(name), part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(key, part) for part in value]
    if isinstance(value, str):
        return _SECRET_IN_QUERY.sub(rf"\g<1>{_REDACTED}", value)
    return value


@lru_cache(maxsize=1000)
def _is_secret(key: str) -> bool:
    return _SECRET.search(_HUMP.sub("_", key).lower()) is not None


def _correlate(_logger: object, _method: str, event: Event) -> Event:
    trace = correlation.trace.get()
    known = {
        "service": correlation.service.get(),
        "request_id": correlation.request_id.get(),
        "trace_id": trace and trace.trace_id,
        "span_id": trace and trace.span_id,
    }
    for key, value in known.items():
        if value is not None:
            event.setdefault(key, value)
    return event


def _utc_milliseconds(_logger: object, _method: str, event: Event) -> Event:
    moment = datetime.fromtimestamp(event["timestamp"], UTC)
    event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _renderer(json: bool) -> structlog.typing.Processor:
    return structlog.processors.JSONRenderer(default=str) if json else structlog.dev.ConsoleRenderer(colors=False)


def _route_libraries(
    stream: TextIO,
    shared: list[structlog.typing.Processor],
    rendering: list[structlog.typing.Processor],
) -> None:
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove_meta, *rendering])
    )
    logging.basicConfig(handlers=[handler], force=True)
