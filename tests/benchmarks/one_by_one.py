"""`python -m tests.benchmarks.one_by_one gateway|webhooks`: our own service, but nothing shares a call or a commit."""

import importlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from libs.errors import AppError
from libs.service import run

T = TypeVar("T")
R = TypeVar("R")

_PLACES = {"gateway": "services.gateway.webhooks", "webhooks": "services.webhooks.admission"}


class OneByOne(Generic[T, R]):
    """In place of `libs.batching.Batcher`: every item is a batch of its own, at once."""

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R | AppError]]], **_limits: object) -> None:
        self._commit = commit

    async def submit(self, item: T) -> R:
        """The result for this item."""
        (result,) = await self._commit([item])
        if isinstance(result, AppError):
            raise result
        return result

    async def aclose(self) -> None:
        """Nothing waits here."""


if __name__ == "__main__":
    name = sys.argv[1]
    importlib.import_module(_PLACES[name]).Batcher = OneByOne  # type: ignore[attr-defined] # what its app constructs
    app = importlib.import_module(f"services.{name}.app")
    settings = importlib.import_module(f"services.{name}.settings")
    sys.exit(run(app.open_app, settings.Settings.from_environment))
