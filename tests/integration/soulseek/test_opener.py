import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from libs.clock import SystemClock
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.opener import SessionOpener
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog

from .conftest import OpenNetwork, account_on


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


async def test_the_client_library_is_not_loaded_before_a_session_opens() -> None:
    code = (
        "import sys\n"
        "import services.acquisition.soulseek.keeper, services.acquisition.soulseek.opener\n"
        "import services.acquisition.soulseek.network, services.acquisition.soulseek.search_log\n"
        "assert 'aioslsk' not in sys.modules\n"
    )

    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    assert await child.wait() == 0
