"""The keeper of sources: makes, changes and removes them, and gives them secrets."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from libs.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from services.webhooks.domain.source import BUILT_IN, Source
from services.webhooks.domain.verification.secret_rule import RANDOM_BYTES, SecretRule
from services.webhooks.sources.record import Draft, Record
from services.webhooks.sources.schemes import source_of
from services.webhooks.sources.store import SourceChanged, SourceNameTaken, SqlSourceStore
from services.webhooks.sources.vault import Vault

MOST_SOURCES = 500


class SourceBuiltIn(FailedPrecondition):
    """The source belongs to the suite."""

    reason = "SOURCE_BUILT_IN"


class TooManySources(ResourceExhausted):
    """There are as many sources as there may be."""

    reason = "TOO_MANY_SOURCES"


class Refreshed(Protocol):
    """The sources as this process knows them."""

    async def refresh(self) -> bool:
        """Look whether anything has changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A source, and its new secret where one was made here: told once."""

    record: Record
    issued: str = field(default="", repr=False)


class SourceKeeper:
    """What people do with sources; ingest in this process obeys before they hear of it, all others within seconds."""

    def __init__(
        self, store: SqlSourceStore, vault: Vault, known: Refreshed, *, random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._vault = vault
        self._known = known
        self._random = random

    async def get(self, name: str) -> Record:
        """One source; raises UnknownSource."""
        return await self._store.get(name)

    async def page(self, *, size: int, token: str) -> tuple[Sequence[Record], str]:
        """A page of sources by name."""
        return await self._store.page(size=size, token=token)

    async def create(self, draft: Draft, secret: str, request_id: str) -> Kept:
        """A new source; the same request again is the source that it made, without its secret.

        Raises InvalidArgument, SourceNameTaken, TooManySources.
        """
        if draft.built_in:
            raise InvalidArgument.field("source_id", f"{draft.name} belongs to the suite", reason="SOURCE_BUILT_IN")
        with _inside("source"):
            chosen, made = source_of(draft).verification.secret_rule.choose(secret, self._random(RANDOM_BYTES))
        if request_id and (before := await self._store.find_by_request(request_id)):
            return _same_request(before, draft)
        if len(await self._store.all()) >= MOST_SOURCES + len(BUILT_IN):
            raise TooManySources(f"there are {MOST_SOURCES} sources: remove one that is not needed")
        drafted = self._vault.draft(chosen) if chosen else None
        try:
            record = await self._store.create(draft, drafted, request_id)
        except SourceNameTaken:
            if request_id and (before := await self._store.find_by_request(request_id)):
                return _same_request(before, draft)
            raise
        await self._known.refresh()
        return Kept(record=record, issued=chosen if made else "")

    async def change(self, before: Record, draft: Draft, *, etag: str) -> Record:
        """A changed source. Raises InvalidArgument, SourceChanged."""
        _require_current(before, etag)
        if not draft.built_in:
            with _inside("source"):
                after = source_of(draft)
            await self._require_fitting(before, after)
        record = await self._store.change(draft, version=before.version)
        await self._known.refresh()
        return record

    async def remove(self, name: str, *, etag: str) -> None:
        """Remove a source. Raises UnknownSource, SourceBuiltIn, SourceChanged."""
        before = await self._store.get(name)
        _require_own(before, "cannot be removed: disable it")
        _require_current(before, etag)
        await self._store.remove(name, version=before.version)
        await self._known.refresh()

    async def rotate(self, name: str, secret: str, *, overlap: timedelta) -> Kept:
        """A new secret for a source. Raises UnknownSource, SourceBuiltIn, InvalidArgument, SourceChanged."""
        before = await self._store.get(name)
        _require_own(before, "has its secret in the settings")
        rule = source_of(before.draft).verification.secret_rule
        chosen, made = rule.choose(secret, self._random(RANDOM_BYTES))
        if not chosen:
            raise FailedPrecondition(
                f"source {name!r} has no secret: its scheme knows none", reason="SOURCE_HAS_NO_SECRET"
            )
        drafted = self._vault.draft(chosen)
        record = await self._store.rotate(name, drafted, overlap=overlap, version=before.version)
        await self._known.refresh()
        return Kept(record=record, issued=chosen if made else "")

    async def _require_fitting(self, before: Record, after: Source) -> None:
        """The secrets stay: where they would not do for a new scheme, another source must be made."""
        old, new = source_of(before.draft).verification.secret_rule, after.verification.secret_rule
        secrets = [await self._vault.open(before.draft.name, each) for each in before.secrets]
        if old is not new and not _fit(new, secrets):
            description = "the secrets of this source do not suit this scheme: make another source"
            raise InvalidArgument.field("source.verification", description, reason="SECRETS_DO_NOT_FIT")


@contextmanager
def _inside(field: str) -> Iterator[None]:
    """Names what is wrong below a field by its whole path."""
    try:
        yield
    except InvalidArgument as error:
        named = [replace(each, field=f"{field}.{each.field}") for each in error.violations]
        raise InvalidArgument(f"{field}.{error.message}", violations=named, reason=error.code_reason) from error


def _fit(rule: SecretRule, secrets: Sequence[str]) -> bool:
    return bool(secrets) and rule.given and not any(map(rule.check, secrets))


def _same_request(before: Record, draft: Draft) -> Kept:
    if before.draft.name != draft.name:
        raise InvalidArgument.field("request_id", f"has made source {before.draft.name!r} already")
    return Kept(record=before)


def _require_current(before: Record, etag: str) -> None:
    if etag not in ("", before.etag):
        raise SourceChanged(before.draft.name)


def _require_own(before: Record, what: str) -> None:
    if before.draft.built_in:
        raise SourceBuiltIn(f"source {before.draft.name!r} belongs to the suite, and {what}")
