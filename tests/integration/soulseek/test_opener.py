import asyncio
import importlib
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from libs.clock import SystemClock
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.opener import SESSION, SessionOpener
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog

from .conftest import OpenNetwork, account_on
from .fetching import until


async def test_an_opened_session_is_logged_in(
    network: OpenNetwork, soulseek_metrics: SoulseekMetrics, tmp_path: Path
) -> None:
    world = await network()
    clock = SystemClock()
    gate = SearchGate(MemorySearchLog(), clock=clock)
    opener = SessionOpener(folder=tmp_path, gate=gate, metrics=soulseek_metrics, clock=clock)

    async with opener(account_on(world)) as session:
        assert world.server.is_online("lockgroove")
        assert await session.search("nobody has this", timedelta(seconds=0.3)) == []


async def test_who_stops_while_the_library_is_loaded_waits_for_one_part_of_it(
    network: OpenNetwork, soulseek_metrics: SoulseekMetrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def load(part: str) -> None:
        begun.append(part)
        go_on.wait(timeout=60)

    monkeypatch.setattr(importlib, "import_module", load)
    gate = SearchGate(MemorySearchLog(), clock=SystemClock())
    opener = SessionOpener(folder=tmp_path, gate=gate, metrics=soulseek_metrics, clock=SystemClock())
    opening = asyncio.create_task(opener(account_on(await network())).__aenter__())
    await until(lambda: begun)

    opening.cancel()
    await asyncio.wait([opening])
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()

    assert SESSION not in begun


async def test_the_client_library_is_not_loaded_before_a_session_opens() -> None:
    code = (
        "import sys\n"
        "import services.acquisition.soulseek.keeper, services.acquisition.soulseek.opener\n"
        "import services.acquisition.soulseek.network, services.acquisition.soulseek.search_log\n"
        "assert 'aioslsk' not in sys.modules\n"
    )

    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    assert await child.wait() == 0
