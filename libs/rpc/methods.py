"""The methods that a server answers, read from the descriptors of their services."""

from dataclasses import dataclass

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from libs.rpc.auth import scope_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method: `lockgroove.config.v1.ConfigService/GetSettings`."""

    service: str
    name: str
    scope: int
    request: type[Message]

    @property
    def full_name(self) -> str:
        """Its name in spans, metrics and logs."""
        return f"{self.service}/{self.name}"

    @property
    def path(self) -> str:
        """Its name on the wire."""
        return f"/{self.service}/{self.name}"


def methods_of(service: str) -> list[Method]:
    """The methods of a service by its full name; raises ValueError where one has no scope."""
    descriptor = descriptor_pool.Default().FindServiceByName(service)
    return [
        Method(
            service=service,
            name=method.name,
            scope=scope_of(method),
            request=message_factory.GetMessageClass(method.input_type),
        )
        for method in descriptor.methods
    ]
