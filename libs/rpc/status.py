"""StatusService: a service tells how it is from what it saw last, and waits for nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Self, TypeVar

from grpc.aio import ServicerContext
from lockgroove.api.v1 import status_pb2 as pb
from lockgroove.api.v1 import status_pb2_grpc as rpc

from libs.clock import Clock
from libs.errors import AppError
from libs.rpc.components import INTERVAL, TIMEOUT, UP, Components, Finding, component_to_pb
from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.migrations import revision
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics

log = get_logger()

SOON = timedelta(seconds=1)  # doubles up to the usual interval
SERVICE = pb.DESCRIPTOR.services_by_name["StatusService"].full_name

Context = ServicerContext[Any, Any]
S = TypeVar("S", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Work, counted by state; `oldest` is the age of what waits longest."""

    name: str
    depths: Mapping[str, int] = field(default_factory=dict)
    oldest: timedelta | None = None

    @classmethod
    def of(cls, name: str, counted: Mapping[S, tuple[int, timedelta]]) -> Self:
        """From the number and the age of the oldest in each state."""
        depths = {str(state): count for state, (count, _) in counted.items()}
        return cls(name=name, depths=depths, oldest=max((age for _, age in counted.values()), default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder, and what is left of its disk."""

    name: str
    free: int
    total: int
    writable: bool


ReadQueues = Callable[[], Awaitable[Sequence[Queue]]]
ReadVolumes = Callable[[], Awaitable[Sequence[Volume]]]
Reading = Callable[[], Awaitable[None]]


class StatusServicer(rpc.StatusServiceServicer):
    """Tells what is known, at once; its loop looks at `components` and takes the readings beside them.

    The database is a component of its own, which is critical.
    """

    def __init__(
        self,
        database: Database,
        *,
        metrics: Metrics,
        clock: Clock,
        queues: Sequence[ReadQueues] = (),
        volumes: ReadVolumes | None = None,
    ) -> None:
        self.components = Components(metrics, clock=clock)
        self.components.add("database", self._ping, critical=True)
        self._database = database
        self._clock = clock
        self._started = clock.monotonic()
        self._release = version("lockgroove")
        self._revision = ""
        self._read_queues = queues
        self._queues: dict[str, Queue] = {}
        self._disks = _Disks(metrics) if volumes else None
        self._read_volumes = volumes
        self._volumes: Sequence[Volume] = ()
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()

    def serve(self, server: Server) -> None:
        """Adds StatusService to a server."""
        server.add(self, rpc.add_StatusServiceServicer_to_server, SERVICE)

    def wake(self) -> None:
        """Look again now: what is looked at may be another."""
        self._woken.set()

    async def run(self) -> None:
        """Looks again and again: soon after the start, or after it was woken, for then much is just beginning."""
        pause = SOON
        while True:
            if self._woken.is_set():
                self._woken.clear()
                pause = SOON
            await self.run_once()
            await self._rest(pause)
            pause = min(INTERVAL, 2 * pause)

    async def run_once(self) -> None:
        """One look at everything at once; what cannot be read now stays as it was read last."""
        queries: list[Reading] = [
            self._take_revision,
            *(partial(self._take_queues, each) for each in self._read_queues),
        ]
        readings: list[Reading] = [self._take_volumes, *(partial(self._in_turn, query) for query in queries)]
        await asyncio.gather(self.components.run_once(), *map(_within_time, readings))

    async def GetServiceStatus(  # noqa: N802 - named in the proto
        self, request: pb.GetServiceStatusRequest, context: Context
    ) -> pb.ServiceStatus:
        """How the service is, as it was seen last."""
        told = pb.ServiceStatus(
            version=self._release,
            schema_revision=self._revision,
            components=map(component_to_pb, self.components.known),
            queues=map(_queue_to_pb, self._queues.values()),
            volumes=map(_volume_to_pb, self._volumes),
        )
        told.uptime.FromTimedelta(timedelta(seconds=self._clock.monotonic() - self._started))
        return told

    async def _ping(self) -> Finding:
        await self._database.ping()
        return UP

    async def _rest(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _in_turn(self, query: Reading) -> None:
        """One at a time: slow ones together would keep the database's connections from everybody, the ping too."""
        async with self._turn:
            await query()

    async def _take_revision(self) -> None:
        async with self._database.reading() as connection:
            self._revision = await revision(connection)

    async def _take_volumes(self) -> None:
        if self._read_volumes is not None:
            self._volumes = await self._read_volumes()
            if self._disks:
                self._disks.tell(self._volumes)

    async def _take_queues(self, read: ReadQueues) -> None:
        for queue in await read():
            self._queues[queue.name] = queue


class _Disks:
    """What is left of disks, as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._free = metrics.gauge("disk_free_bytes", "What is left of the disk of a folder.", ["volume"])
        self._total = metrics.gauge("disk_total_bytes", "The size of the disk of a folder.", ["volume"])
        self._writable = metrics.gauge("disk_writable", "Whether the folder can be written to.", ["volume"])

    def tell(self, volumes: Iterable[Volume]) -> None:
        """So it is now."""
        for volume in volumes:
            self._free.labels(volume.name).set(volume.free)
            self._total.labels(volume.name).set(volume.total)
            self._writable.labels(volume.name).set(volume.writable)


async def _within_time(reading: Reading) -> None:
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            await reading()
    except (TimeoutError, AppError) as error:
        log.debug("status.not_read", error=repr(error))
    except Exception:
        log.exception("status.reading_failed")  # nobody's work depends on it


def _queue_to_pb(queue: Queue) -> pb.ServiceStatus.Queue:
    told = pb.ServiceStatus.Queue(queue=queue.name, depths=queue.depths)
    if queue.oldest is not None:
        told.oldest_age.FromTimedelta(queue.oldest)
    return told


def _volume_to_pb(volume: Volume) -> pb.ServiceStatus.Volume:
    return pb.ServiceStatus.Volume(
        volume=volume.name, free_bytes=volume.free, total_bytes=volume.total, writable=volume.writable
    )
