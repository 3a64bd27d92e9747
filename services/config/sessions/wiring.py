"""Sessions of browsers, put together."""

import os
from asyncio import Event
from collections.abc import Sequence
from dataclasses import dataclass

from lockgroove.config.v1 import sessions_pb2 as pb
from lockgroove.config.v1 import sessions_pb2_grpc as rpc

from libs import ids
from libs.rpc.server import Server
from libs.rpc.sessions import SessionSeal
from libs.service import Loop
from services.config.ground import Ground
from services.config.sessions.convert import lifetime_of
from services.config.sessions.keeper import Means, SessionKeeper
from services.config.sessions.servicer import SessionServicer
from services.config.sessions.store import SqlSessionStore
from services.config.worker import SnapshotPoller

SERVICE = pb.DESCRIPTOR.services_by_name["SessionService"].full_name

_LIFETIME = "gateway.session_lifetime"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSlice:
    """The API of sessions."""

    servicer: SessionServicer

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return []

    def serve(self, server: Server) -> None:
        """Adds SessionService to a server."""
        server.add(self.servicer, rpc.add_SessionServiceServicer_to_server, SERVICE)


def make_sessions(ground: Ground, store: SqlSessionStore, *, feed: SnapshotPoller, changed: Event) -> SessionSlice:
    """Wires the slice; the snapshot of the feed says which keys are in force, and how long sessions last."""
    means = Means(
        new_id=ids.new,
        random=os.urandom,
        keys_in_force=lambda: feed.current.keys,
        lifetime=lambda: lifetime_of(feed.current.settings.texts[_LIFETIME]),
    )
    keeper = SessionKeeper(store, SessionSeal(ground.service_tokens), means, clock=ground.clock, changed=changed.set)
    return SessionSlice(servicer=SessionServicer(keeper, clock=ground.clock))
