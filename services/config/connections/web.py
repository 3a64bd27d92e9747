"""Questions over HTTP for whoever tries a connection: the host's name first, which has a diagnosis of its own."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from socket import SOCK_STREAM, gaierror
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from services.config.connections.answer import Answer
from services.config.domain.connections import CheckFailedError
from services.config.domain.diagnoses import Diagnosis

if TYPE_CHECKING:
    from services.config.connections.exchange import Exchange

Resolve = Callable[[str], Awaitable[object]]


async def system_resolve(host: str) -> object:
    """Asks the system for the addresses of a host. Raises gaierror, and UnicodeError for what is no name."""
    return await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM)


class Web:
    """Implements `answer.Ask`; what it takes for that is loaded with the first question."""

    def __init__(self, resolve: Resolve = system_resolve) -> None:
        self._resolve = resolve
        self._exchange: Exchange | None = None

    async def __call__(
        self, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer; raises CheckFailedError where none comes."""
        exchange = await self._loaded()
        await self._find_host(url)
        return await exchange(url, headers=headers or {}, params=params or {})

    async def _find_host(self, url: str) -> None:
        with suppress(ValueError):  # httpx has better words for what is no address
            if host := urlsplit(url).hostname:
                try:
                    await self._resolve(host)
                except (gaierror, UnicodeError) as error:
                    raise CheckFailedError(Diagnosis.DNS) from error

    async def _loaded(self) -> "Exchange":
        if self._exchange is None:  # in a thread: the loop goes on meanwhile
            module = await asyncio.to_thread(importlib.import_module, "services.config.connections.exchange")
            self._exchange = self._exchange or module.Exchange()
        return self._exchange
