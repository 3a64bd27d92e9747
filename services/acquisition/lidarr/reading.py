"""What answers at Lidarr's address and speaks of something else: as good as no answer, never a fact."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from libs.outbound.client import UNREADABLE
from services.acquisition.domain.lidarr import LidarrUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def understood(ask: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Has `ask` raise LidarrUnavailable where it stumbles over an answer of another shape."""

    @wraps(ask)
    async def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await ask(*args, **kwargs)
        except UNREADABLE as error:
            raise LidarrUnavailable(f"Lidarr answers something else than expected ({type(error).__name__}).") from error

    return asked
