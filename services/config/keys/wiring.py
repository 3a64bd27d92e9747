"""API keys, put together."""

import os
import sys
from asyncio import Event
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from lockgroove.config.v1 import config_pb2
from lockgroove.config.v1 import keys_pb2 as pb
from lockgroove.config.v1 import keys_pb2_grpc as rpc

from libs import ids
from libs.clock import Clock
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.rpc.uses import KeyUses
from libs.service import Loop
from services.config import convert
from services.config.domain.keys import ADMIN, ApiKey, Key, NewKey, Terms, new_key
from services.config.domain.snapshot import Snapshot
from services.config.ground import Ground
from services.config.keys.keeper import KeyKeeper
from services.config.keys.servicer import KeyServicer
from services.config.keys.store import SqlKeyStore

SERVICE = pb.DESCRIPTOR.services_by_name["KeyService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlice:
    """The store of keys, their API, when they were used, and the loops behind them."""

    store: SqlKeyStore
    servicer: KeyServicer
    uses: KeyUses
    clock: Clock

    def serve(self, server: Server) -> None:
        """Adds KeyService to a server."""
        server.add(self.servicer, rpc.add_KeyServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [self.uses.run]

    async def keep_first(self) -> None:
        """Makes a key for the administrator, unless there is a way in already."""
        now = self.clock.now()
        await self.store.keep_first(partial(announced_admin_key, now), now=now)

    def authenticator(self, service_tokens: Sequence[str], snapshot: Callable[[], Snapshot]) -> KeyAuthenticator:
        """Tells who calls this service, by the snapshot in force, and notes when keys are used."""
        return KeyAuthenticator(
            service_tokens,
            _Admitted(lambda: snapshot().keys),
            clock=self.clock,
            used=self.uses.note,
            ended=lambda: snapshot().ended,
        )


def make_keys(ground: Ground, *, given: bool, changed: Event) -> KeySlice:
    """Wires the slice; `given` says that the environment has a key for the administrator."""
    store, clock = SqlKeyStore(ground.database, tokens=ground.tokens, given=given), ground.clock
    keeper = KeyKeeper(store, random=os.urandom, new_id=partial(ids.new, "key"), clock=clock, changed=changed.set)
    return KeySlice(
        store=store,
        servicer=KeyServicer(keeper, store, clock=clock),
        uses=KeyUses(store.note_uses, clock=clock),
        clock=clock,
    )


def announced_admin_key(now: datetime) -> Key:
    """A new key for the administrator, shown on stdout, where it must have arrived before anything else happens."""
    secret = new_key(os.urandom)
    sys.stdout.write(f"Admin API key (shown once): {secret}\n")
    sys.stdout.flush()
    wish = NewKey(terms=Terms(title="admin", scopes=(ADMIN,)))
    return Key.made(wish, secret, key_id=ids.new("key"), creator="", now=now)


class _Admitted:
    """The keys in force as messages, made once for each snapshot."""

    def __init__(self, keys: Callable[[], Sequence[ApiKey]]) -> None:
        self._keys = keys
        self._of: Sequence[ApiKey] | None = None
        self._messages: list[config_pb2.ApiKey] = []

    def __call__(self) -> list[config_pb2.ApiKey]:
        if (keys := self._keys()) is not self._of:
            self._of, self._messages = keys, [convert.key_to_pb(key) for key in keys]
        return self._messages
