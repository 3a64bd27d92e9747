"""Services as processes of their own, without a supervisor: what is killed stays dead."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def running_service(service: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.SERVICE` with this environment; ended at exit. Its log is shown where the test fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
