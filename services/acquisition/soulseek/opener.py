"""Opens sessions, and loads the client library for it at the first one: that costs seconds and memory."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from libs.clock import Clock
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.search_gate import SearchGate

if TYPE_CHECKING:
    from services.acquisition.soulseek.session import SoulseekSession

SESSION = "services.acquisition.soulseek.session"
# A thread cannot be interrupted: who has to stop meanwhile waits for one part, and not for all.
PARTS = ("aiohttp", "async_upnp_client.aiohttp", "aioslsk.protocol.messages", "aioslsk.client", SESSION)


class SessionOpener:
    """Opens a session for an account. `folder` is where the library would write what has no target: nothing does."""

    def __init__(self, *, folder: Path, gate: SearchGate, metrics: SoulseekMetrics, clock: Clock) -> None:
        self._folder = folder
        self._gate = gate
        self._metrics = metrics
        self._clock = clock

    @asynccontextmanager
    async def __call__(self, account: Account) -> AsyncIterator["SoulseekSession"]:
        """A session that is logged in; leaving the context logs out. Raises as `open_session` does."""
        for part in PARTS:  # in a thread: the loop goes on meanwhile
            module = await asyncio.to_thread(importlib.import_module, part)
        async with module.open_session(
            account, folder=self._folder, gate=self._gate, metrics=self._metrics, clock=self._clock
        ) as session:
            yield session
