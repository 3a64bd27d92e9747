"""Where every module gets its logger: structlog, without the console renderer's rich."""

from libs.lean import without

with without("rich"):
    import structlog

from structlog.contextvars import bound_contextvars

get_logger = structlog.get_logger

__all__ = ["bound_contextvars", "get_logger", "structlog"]
