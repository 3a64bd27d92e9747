"""What every server tells about itself: health for everybody, reflection for grpcurl, channelz for this machine."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

# The three packages have neither annotations nor stubs.
from grpc_channelz.v1 import channelz, channelz_pb2, channelz_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from libs.rpc.drain import Drain, Stopping
from libs.rpc.options import descriptor_set

_OWN_MACHINE = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "ipv6:[::ffff:127.", "ipv6:%5B::ffff:127.", "unix:")
_CHANNELZ = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"]
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

Context = grpc.aio.ServicerContext[Any, Any]


class Health:
    """grpc.health.v1 for a server and each of its services, which are ready together or not at all."""

    def __init__(self, services: Iterable[str], drain: Drain) -> None:
        self._servicer = _Health(drain)
        self._names = ["", *services]

    def add_to(self, server: grpc.aio.Server) -> None:
        """Lets the server answer."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, ready: bool) -> None:
        """Tells whether calls may come."""
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._servicer.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self) -> None:
        """Tells that no more calls may come, for good."""
        await self._servicer.enter_graceful_shutdown()


def add_introspection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Lets the server answer reflection (with JSON names in camelCase) and, to this machine, channelz."""
    channelz_pb2_grpc.add_ChannelzServicer_to_server(_local_channelz(), server)
    names = [*services, _HEALTH, _CHANNELZ.full_name, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server, pool=_pool())


class _Health(health.aio.HealthServicer):  # type: ignore[misc] # has no annotations
    """Whose watchers end with the server: it would wait for them."""

    def __init__(self, drain: Drain) -> None:
        super().__init__()
        self._drain = drain

    async def Watch(self, request: Any, context: Context) -> None:  # noqa: N802 - named by the proto
        try:
            with self._drain.interruptible():
                await super().Watch(request, context)
        except Stopping as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)


def _local_channelz() -> Any:
    """Channelz names peers and addresses, so it answers this machine alone."""
    servicer = channelz.aio.ChannelzServicer()
    for method in _CHANNELZ.methods:
        setattr(servicer, method.name, _local_only(getattr(servicer, method.name)))
    return servicer


def _local_only(behavior: Any) -> Any:
    async def answer(request: Any, context: Context) -> Any:
        if not context.peer().startswith(_OWN_MACHINE):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "channelz answers this machine only")
        return await behavior(request, context)

    return answer


@cache
def _pool() -> DescriptorPool:
    """Our descriptor set, which has the JSON names that the default pool lacks, and what describes introspection."""
    pool = DescriptorPool()
    known = set()
    for file in descriptor_set().file:
        known.add(file.name)
        pool.AddSerializedFile(file.SerializeToString())
    for module in (health_pb2, channelz_pb2, reflection_pb2):
        _add_with_imports(pool, module.DESCRIPTOR, known)
    return pool


def _add_with_imports(pool: DescriptorPool, file: Any, known: set[str]) -> None:
    if file.name not in known:
        known.add(file.name)
        for imported in file.dependencies:
            _add_with_imports(pool, imported, known)
        pool.AddSerializedFile(file.serialized_pb)
