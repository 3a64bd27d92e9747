"""How much may be under way at once: more is refused at once, before its body is read. Each kind has a lane of its own.

So pages, or streams that stay open, never take the place of webhooks, whose senders would give up.
"""

from collections.abc import Iterable
from functools import partial

from lockgroove.config.v1 import config_pb2 as pb
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.telemetry.metrics import Metrics
from libs.transcoding.routes import Binding
from services.gateway.rates.errors import TooManyUnderWay
from services.gateway.rates.pages import PROBES, is_delivery
from services.gateway.rates.quotas import number

_WATCH = ":watch"


class Lane:
    """What is under way of one kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.limit = 0
        self.under_way = 0


class Lanes:
    """The layer that refuses. `bindings` tell which paths answer with streams."""

    def __init__(self, app: ASGIApp, bindings: Iterable[Binding], metrics: Metrics) -> None:
        self._app = app
        self._streams = frozenset(each.template.text for each in bindings if each.method.server_streaming)
        self._requests, self._open_streams, self._deliveries = Lane("requests"), Lane("streams"), Lane("webhooks")
        lanes = (self._requests, self._open_streams, self._deliveries)
        self.by_name = {lane.name: lane for lane in lanes}
        under_way = metrics.gauge("gateway_requests_under_way", "Requests that are not answered yet.", ["lane"])
        refused = metrics.counter("gateway_requests_refused", "Requests refused as too many at once.", ["lane"])
        for lane in lanes:
            under_way.labels(lane.name).set_function(partial(getattr, lane, "under_way"))
        self._refused = {lane.name: refused.labels(lane.name) for lane in lanes}
        self.follow(pb.Snapshot())

    def follow(self, snapshot: pb.Snapshot) -> None:
        """Take over the settings of a snapshot; what is under way stays so."""
        settings = snapshot.settings.gateway
        self._requests.limit = number(settings, "concurrent_requests")
        self._open_streams.limit = number(settings, "concurrent_streams")
        self._deliveries.limit = number(settings, "concurrent_webhooks")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises TooManyUnderWay."""
        path = scope["path"]
        if path in PROBES:
            await self._app(scope, receive, send)
            return
        lane = self._lane(scope["method"], path)
        if lane.under_way >= lane.limit:
            self._refused[lane.name].inc()
            raise TooManyUnderWay(lane.name, lane.limit)
        lane.under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            lane.under_way -= 1

    def _lane(self, method: str, path: str) -> Lane:
        if is_delivery(method, path):
            return self._deliveries
        is_stream = method == "GET" and (path.endswith(_WATCH) or path in self._streams)
        return self._open_streams if is_stream else self._requests
