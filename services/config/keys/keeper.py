"""Use cases of the API keys: secrets are made here and go straight to the caller; what was done is logged here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from libs.clock import Clock
from libs.errors import InvalidArgument
from libs.telemetry.logger import get_logger
from services.config.domain.keys import Key, NewKey, RequestIdReused, Terms, new_key

log = get_logger(__name__)


class KeyStore(Protocol):
    """Where keys are kept."""

    async def create(self, key: Key) -> Key:
        """Keep a new key, or find the one that the same request made; raises TooManyKeys."""
        ...

    async def change(self, key_id: str, transition: Callable[[Key], Key], *, etag: str, now: datetime) -> Key:
        """The key after a transition; raises KeyNotFound, KeyChanged, LastAdminKey, and what the transition raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A key with its secret, which is empty where it was given out before."""

    key: Key
    secret: str = field(default="", repr=False)


class KeyKeeper:
    """Makes, changes, rotates and takes back keys. `changed` says that services have to be told."""

    def __init__(
        self,
        store: KeyStore,
        *,
        random: Callable[[int], bytes],
        new_id: Callable[[], str],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._random = random
        self._new_id = new_id
        self._clock = clock
        self._changed = changed

    async def create(self, wish: NewKey, *, actor: str) -> Issued:
        """A new key with its secret, or the one that this request made before, without it.

        Raises InvalidArgument, TooManyKeys, RequestIdReused.
        """
        secret = new_key(self._random)
        wanted = Key.made(wish, secret, key_id=self._new_id(), creator=actor, now=self._now())
        kept = await self._store.create(wanted)
        if kept.id == wanted.id:
            self._tell("key.created", kept, actor)
            return Issued(key=kept, secret=secret)
        if not kept.answers(wanted):
            raise _reused()
        return Issued(key=kept)

    async def change(self, key_id: str, terms: Callable[[Key], Terms], *, etag: str, actor: str) -> Key:
        """The key with other terms; raises as KeyStore.change, KeyRevoked, InvalidArgument."""
        now = self._now()
        key = await self._store.change(key_id, lambda key: key.changed(terms(key), now=now), etag=etag, now=now)
        return self._told("key.changed", key, now, actor)

    async def rotate(self, key_id: str, *, overlap: timedelta, etag: str, actor: str) -> Issued:
        """The key with a new secret; raises as KeyStore.change, KeyRevoked, KeyExpired."""
        now, secret = self._now(), new_key(self._random)

        def rotated(key: Key) -> Key:
            return key.rotated(secret, overlap=overlap, now=now)

        key = await self._store.change(key_id, rotated, etag=etag, now=now)
        return Issued(key=self._told("key.rotated", key, now, actor), secret=secret)

    async def revoke(self, key_id: str, *, etag: str, actor: str) -> Key:
        """The key, taken back; raises as KeyStore.change."""
        now = self._now()
        key = await self._store.change(key_id, lambda key: key.revoked(now=now), etag=etag, now=now)
        return self._told("key.revoked", key, now, actor)

    def _now(self) -> datetime:
        """To the millisecond, as it is kept."""
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _told(self, event: str, key: Key, now: datetime, actor: str) -> Key:
        if key.updated_at == now:  # else it was so already
            self._tell(event, key, actor)
        return key

    def _tell(self, event: str, key: Key, actor: str) -> None:
        self._changed()
        log.info(event, key=key.id, user=key.user, scopes=key.terms.scopes, actor=actor)


def _reused() -> RequestIdReused:
    problem = "was used for another key before"
    violations = InvalidArgument.field("request_id", problem, reason=RequestIdReused.reason).violations
    return RequestIdReused(f"request_id: {problem}", violations=violations)
