"""Defects that stay where they happen: a loop that ends with one would take its whole service along."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.errors import AppError, Internal
from libs.telemetry.logger import get_logger

log = get_logger()


@contextmanager
def as_internal(event: str) -> Iterator[None]:
    """Raises Internal for what nobody foresaw, and logs that with its traceback as `event`; AppError passes through."""
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        log.exception(event)
        raise Internal("something went wrong that nobody foresaw: the log says what") from error
