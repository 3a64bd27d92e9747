"""`python -m tests.support.ticking HOST:PORT`: an acquisition service whose changes are the ticks of the clock.

Number n happens `n * TICK` seconds after the epoch whoever runs, so that a successor goes on behind any token of it.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config

from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.service import run

TICK = 0.02  # seconds


class _Ticks(rpc.AcquisitionServiceServicer):
    """Abstract in its stubs: what is not called here has no answer."""

    async def WatchAcquisitions(
        self, request: pb.WatchAcquisitionsRequest, context: Any
    ) -> AsyncIterator[pb.WatchAcquisitionsResponse]:
        number = int(request.resume_token or time.time() / TICK)
        while True:
            number += 1
            await asyncio.sleep(number * TICK - time.time())
            changed = pb.Acquisition(name=f"acquisitions/acq-{number}")
            yield pb.WatchAcquisitionsResponse(acquisition=changed, resume_token=str(number))


@asynccontextmanager
async def _open_app(listen: str) -> AsyncIterator[Server]:
    key = config.ApiKey(title="tests", digest=sha256(os.environ["TICKING_KEY"].encode()).digest(), scopes=[api.READ])
    ticks: Any = _Ticks  # its stubs want every method
    name = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name
    server = Server(listen, authenticator=KeyAuthenticator([], lambda: [key]))
    yield server.add(ticks(), rpc.add_AcquisitionServiceServicer_to_server, name)


@asynccontextmanager
async def ticking(listen: str, key: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as a process, which is killed at the end."""
    environment = {**os.environ, "TICKING_KEY": key, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name, listen), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    sys.exit(run(_open_app, sys.argv[1]))
