"""How a service's process runs: `__main__` calls `run`, which opens the app and serves until a signal says stop."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from libs.errors import AppError

if TYPE_CHECKING:
    from libs.telemetry import Telemetry

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

# The programs that a service starts do not use gRPC, so it need not look after forks; read when gRPC is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

RunLoop = Callable[[Coroutine[Any, Any, None]], None]
Loop = Callable[[], Awaitable[None]]


class Servable(Protocol):
    """What an app yields: it works until it is told to stop, and ends in order."""

    async def serve(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
        ...


V = TypeVar("V", bound=Servable)


class OpenApp(Protocol[S_contra]):
    """A service's `open_app`: constructs everything in order and yields what serves."""

    def __call__(self, settings: S_contra, /) -> AbstractAsyncContextManager[Servable]:
        """The app, open inside."""
        ...


class Service(Generic[V]):
    """A `server` and the loops that run beside it. A loop that fails ends the service, which is then restarted.

    With `telemetry`, it tells there about its process.
    """

    def __init__(self, server: V, *, loops: Sequence[Loop] = (), telemetry: "Telemetry | None" = None) -> None:
        self.server = server
        self.telemetry = telemetry
        self._loops = list(loops)
        if telemetry:
            from libs.telemetry.process import ProcessMetrics  # not in the supervisor, which serves nothing

            self._loops.append(ProcessMetrics(telemetry.metrics).run)

    async def serve(self, stop: asyncio.Event) -> None:
        """Runs all of them; at the end the server drains first, then the loops are cancelled."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_forever(loop)) for loop in self._loops]
            await self.server.serve(stop)
            for task in tasks:
                task.cancel()


async def serve(open_app: OpenApp[S], settings: S, stop: asyncio.Event) -> None:
    """Opens one app and serves until `stop`; several of them may share an event loop."""
    async with AsyncExitStack() as stack:
        try:
            async with _given_up_at(stop):
                app = await stack.enter_async_context(open_app(settings))
        except GivenUp:
            return
        gc.collect()
        gc.freeze()  # what is here now stays, and the collector need not look at it while everybody waits
        await app.serve(stop)


class GivenUp(Exception):
    """Somebody said stop before it was done."""


@asynccontextmanager
async def _given_up_at(stop: asyncio.Event) -> AsyncIterator[None]:
    """Cancels what is inside when somebody says stop: an app may wait for minutes to open, for a migration."""
    loop = asyncio.get_running_loop()

    async def expire() -> None:
        await stop.wait()
        patience.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as patience:
            watching = asyncio.create_task(expire())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError as error:
        if patience.expired():
            raise GivenUp from error
        raise


def run(open_app: OpenApp[S], settings: S | Callable[[], S]) -> int:
    """Runs one app as this process, as `run_until_signal` does; `settings` are the app's, or what reads them."""

    async def work(stop: asyncio.Event) -> None:
        ready: S = settings() if callable(settings) else settings
        await serve(open_app, ready, stop)

    return run_until_signal(work)


def run_until_signal(work: Callable[[asyncio.Event], Awaitable[None]], *, run_loop: RunLoop | None = None) -> int:
    """Runs this process until SIGTERM or SIGINT sets the event, and returns the exit status.

    `run_loop` runs the event loop: uvloop's unless told otherwise, which is fast and costs 12 MB.

    An AppError is told in one line without a traceback, since it names what is wrong and what to do; anything else is a
    defect and keeps its traceback.
    """
    try:
        (run_loop or _uvloop)(_until_signal(work))
    except AppError as error:
        return _fail(error)
    except BaseExceptionGroup as group:
        errors, others = group.split(AppError)
        if errors is None or others is not None:
            raise
        return _fail(_first(errors))
    return 0


def _uvloop(main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(main)


async def _until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(stop)


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()


def _first(errors: BaseExceptionGroup[AppError]) -> AppError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _fail(error: AppError) -> int:
    sys.stderr.write(f"error: {error.message}\n")
    return 1
