"""What goes along with every call to another service: who calls, its request and trace, and until when it may last."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import grpc

from libs.errors import DeadlineExceeded
from libs.rpc import context
from libs.rpc.auth import CREDENTIALS, CredentialInvalid
from libs.telemetry import correlation

MARGIN = timedelta(milliseconds=50)  # kept of the deadline that we are under: the time to tell that it has passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a channel adds: its `credential`, where a call has none of its own, and the time that a call may take."""

    credential: str | None
    timeout: timedelta | None

    def metadata(self, given: Iterable[tuple[str, str | bytes]] | None) -> grpc.aio.Metadata:
        """The metadata of a call that is made with `given`. Raises CredentialInvalid for one that cannot be sent."""
        sent = list(given or ())
        present = {key for key, _ in sent}
        for key, value in sent:
            if key in CREDENTIALS:
                _refuse_unsendable(str(value))
        if self.credential and not present & CREDENTIALS:
            sent.append(("authorization", f"Bearer {self.credential}"))
        if "x-request-id" not in present:
            sent.append(("x-request-id", context.request_id.get() or correlation.new_request_id()))
        trace = correlation.trace.get()
        if trace is not None and "traceparent" not in present:
            sent.append(("traceparent", trace.traceparent))
        return grpc.aio.Metadata(*sent)

    def seconds(self, asked: float | None) -> float | None:
        """What the caller asks for, or else the channel's time; never more than is left of our own deadline."""
        chosen = asked if asked is not None or self.timeout is None else self.timeout.total_seconds()
        left = context.remaining()
        if left is None:
            return chosen
        if left <= MARGIN:
            raise DeadlineExceeded("no time is left for the calls that this one needs")
        available = (left - MARGIN).total_seconds()
        return available if chosen is None else min(chosen, available)


def _refuse_unsendable(credential: str) -> None:
    """A person may send anything over HTTP; gRPC fails on what is not printable ASCII, and nobody holds such a key."""
    if not (credential.isascii() and credential.isprintable()):
        raise CredentialInvalid("the API key is not valid: it has characters that no key has")
