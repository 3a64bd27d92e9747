"""The registry: sources and their secrets as ingest knows them, in memory, and read again when they change."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from google.protobuf.json_format import ParseError

from libs.clock import Clock
from libs.crypto import Tampered, WrongKey
from libs.errors import AppError, InvalidArgument, Unavailable
from libs.telemetry.logger import get_logger
from services.webhooks.domain.inbox import Listed
from services.webhooks.domain.source import BUILT_IN, Source, UnknownSource
from services.webhooks.domain.verification.scheme import Credentials
from services.webhooks.domain.verification.secret_rule import NO_SECRET
from services.webhooks.sources.record import Record, StoredSecret
from services.webhooks.sources.schemes import source_of
from services.webhooks.sources.store import Revision, SqlSourceStore
from services.webhooks.sources.vault import Vault

log = get_logger()

PAUSE = timedelta(seconds=2)
SPACING = timedelta(milliseconds=25)  # between two looks at the database, however many ask
_JITTER = 0.2
_random = random.SystemRandom()


class SourceUnusable(Unavailable):
    """The source cannot be used here: its senders may try again once somebody has seen to it."""

    reason = "SOURCE_UNUSABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    text: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    source: Source
    secrets: tuple[_Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    revision: Revision
    entries: Mapping[str, _Entry | None]  # None: cannot be used


class SourceRegistry:
    """`run` is the loop that follows changes; `refresh` is for those who cannot wait for it."""

    def __init__(
        self, store: SqlSourceStore, vault: Vault, *, settings_secret: Callable[[str], str], clock: Clock
    ) -> None:
        self._store = store
        self._vault = vault
        self._settings_secret = settings_secret
        self._clock = clock
        self._snapshot: _Snapshot | None = None
        self._looking = asyncio.Lock()
        self._looked = 0.0
        self._next: asyncio.Task[None] | None = None

    def get(self, name: str) -> Listed:
        """The source of this name with its valid secrets; raises UnknownSource, or Unavailable while none is known."""
        if self._snapshot is None:
            raise SourceUnusable("the sources have not been read yet")
        if name not in self._snapshot.entries:
            raise UnknownSource(name)
        entry = self._snapshot.entries[name]
        if entry is None:
            raise SourceUnusable(f"source {name!r} cannot be used: the log of the webhooks service says why")
        return Listed(source=entry.source, credentials=self._credentials(entry))

    async def refresh(self) -> bool:
        """Look whether anything has changed since now, together with all who ask at the same time.

        Returns whether something had changed. Raises DatabaseUnavailable.
        """
        before = self._snapshot
        if self._next is None:
            self._next = asyncio.create_task(self._look())
            self._next.add_done_callback(_seen)
        await asyncio.shield(self._next)
        return self._snapshot is not before

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(PAUSE.total_seconds() * (1 + _random.uniform(0, _JITTER)))

    async def run_once(self) -> None:
        """Looks once; while the database is away the sources stay as they were."""
        try:
            await self.refresh()
        except AppError as error:
            log.warning("sources.not_read", reason=error.code_reason)

    def _credentials(self, entry: _Entry) -> Credentials:
        now = self._clock.now()
        secrets = [each.text for each in entry.secrets if each.expires_at is None or each.expires_at > now]
        if not entry.source.built_in:
            return Credentials(secrets=secrets, required=entry.source.verification.secret_rule is not NO_SECRET)
        configured = self._settings_secret(entry.source.name)
        return Credentials(secrets=[configured, *secrets] if configured else secrets, required=bool(configured))

    async def _look(self) -> None:
        async with self._looking:
            await asyncio.sleep(max(0.0, self._looked + SPACING.total_seconds() - time.monotonic()))
            self._next = None  # who comes from now on wants a later look
            try:
                await self._read()
            finally:
                self._looked = time.monotonic()

    async def _read(self) -> None:
        revision = await self._store.revision()
        if self._snapshot is not None and self._snapshot.revision == revision:
            return
        records = await self._store.all()
        entries = {record.draft.name: await self._entry(record) for record in records}
        self._snapshot = _Snapshot(revision=revision, entries=entries)
        log.info("sources.read", sources=len(entries))

    async def _entry(self, record: Record) -> _Entry | None:
        name = record.draft.name
        try:
            if name in BUILT_IN:
                source = replace(BUILT_IN[name], disabled=record.draft.disabled)
            else:
                source = source_of(record.draft)
        except (InvalidArgument, ParseError) as error:  # made by a newer version
            log.error("source.unusable", source=name, error=str(error))
            return None
        secrets = [opened for each in record.secrets if (opened := await self._opened(name, each))]
        if record.secrets and not secrets and name not in BUILT_IN:
            return None
        return _Entry(source=source, secrets=tuple(secrets))

    async def _opened(self, name: str, stored: StoredSecret) -> _Secret | None:
        try:
            return _Secret(text=await self._vault.open(name, stored), expires_at=stored.expires_at)
        except (WrongKey, Tampered) as error:
            log.error("source.secret_unreadable", source=name, fingerprint=stored.fingerprint, error=error.message)
            return None


def _seen(task: "asyncio.Task[None]") -> None:
    """So that a look whose askers all left ends without a word."""
    if not task.cancelled():
        task.exception()
