"""A session on the Soulseek network: logged in until somebody closes it, the server ends it, or another kicks us."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aioslsk.events import KickedEvent, SessionDestroyedEvent
from aioslsk.exceptions import AioSlskException, AuthenticationError, ListeningConnectionFailedError
from aioslsk.protocol.primitives import AttributeKey, FileData
from aioslsk.search.model import SearchRequest, SearchResult

from libs.clock import Clock
from libs.telemetry.logger import get_logger
from services.acquisition.domain import listings
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.client import Client
from services.acquisition.soulseek.download import Download
from services.acquisition.soulseek.errors import (
    CannotListen,
    Disconnected,
    Kicked,
    LoginRefused,
    ServerUnreachable,
)
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.search_gate import SearchGate

log = get_logger()

LOGIN_SECONDS = 30
CLOSE_SECONDS = 2
MAX_RESPONSES = 500
MAX_FILES = 2000  # of one response
MAX_PATH = 1000  # characters
_POLL_SECONDS = 0.1
_QUIET_SHARE = 5  # a search ends after a fifth of its time without a new answer


class SoulseekSession:
    """What a logged-in client does for us. `open_session` makes one."""

    def __init__(
        self, client: Client, account: Account, *, gate: SearchGate, metrics: SoulseekMetrics, clock: Clock
    ) -> None:
        self._client = client
        self._account = account
        self._gate = gate
        self._metrics = metrics
        self._clock = clock
        self._ended: asyncio.Future[Disconnected | Kicked] = asyncio.get_running_loop().create_future()
        client.events.register(KickedEvent, self._on_kicked)
        client.events.register(SessionDestroyedEvent, self._on_destroyed)

    async def ended(self) -> Disconnected | Kicked:
        """Wait for the session's end; returns why it came."""
        return await asyncio.shield(self._ended)

    async def search(self, query: str, timeout: timedelta) -> list[Candidate]:
        """What peers answer: one candidate for each folder of each peer, locked files left out.

        Collects until nothing new comes for a fifth of `timeout` after the first answer, `timeout` at most.

        Raises:
            SearchLimitReached: the server bears no further search now.
            Disconnected: the session ended.
        """
        with self._metrics.searching() as search:
            async with self._gate.turn():
                self._raise_if_ended()
                request = await self._sent(query)
            try:
                await self._collect(request, timeout.total_seconds())
            finally:
                self._client.searches.requests.pop(request.ticket, None)
            search.responses = len(request.results)
        return self._candidates(request.results)

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        idle_timeout: timedelta,
        queue_timeout: timedelta,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Fetch a file to exactly `target`; returns the size that the peer announced, in bytes.

        `on_progress` hears how many bytes have arrived. When this returns, raises or is cancelled, nothing writes to
        `target` any more; unless it returned, nothing is left there.

        Raises:
            PeerOffline, QueueTimeout, TransferStalled, TransferBroken, TransferRejected, SizeMismatch: the peer's part.
            LocalDiskError: ours.
            Disconnected: the session ended.
        """
        download = Download(
            self._client,
            peer=peer,
            file=file,
            target=target,
            idle_timeout=idle_timeout,
            queue_timeout=queue_timeout,
            on_progress=on_progress,
            clock=self._clock,
        )
        with self._metrics.downloading():
            return await self._unless_ended(download)

    async def close(self) -> None:
        """Leave the network at once."""
        self._end(Disconnected())
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.stop()
        except TimeoutError:
            log.warning("soulseek.close_timed_out")  # the server's connection is gone: it is the first to be closed

    async def _unless_ended(self, download: Download) -> int:
        self._raise_if_ended()
        running = asyncio.create_task(download.run())
        try:
            either: set[asyncio.Future[Any]] = {running, self._ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            raise Disconnected
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _sent(self, query: str) -> SearchRequest:
        try:
            return await self._client.searches.search(query)
        except AioSlskException as error:
            raise Disconnected from error

    async def _collect(self, request: SearchRequest, seconds: float) -> None:
        begun = last = self._clock.monotonic()
        count = 0
        while (now := self._clock.monotonic()) - begun < seconds and count < MAX_RESPONSES:
            if len(request.results) > count:
                count, last = len(request.results), now
            elif count and now - last > seconds / _QUIET_SHARE:
                return
            self._raise_if_ended()
            await asyncio.sleep(_POLL_SECONDS)

    def _candidates(self, results: Iterable[SearchResult]) -> list[Candidate]:
        by_folder: dict[tuple[str, str], Candidate] = {}
        for result in results:
            if result.username != self._account.username:
                for candidate in _folders(result):
                    by_folder[candidate.peer, candidate.folder] = candidate
        return list(by_folder.values())

    def _raise_if_ended(self) -> None:
        if self._ended.done():
            raise Disconnected

    def _on_kicked(self, _event: KickedEvent) -> None:
        self._end(Kicked(self._account.username))

    def _on_destroyed(self, _event: SessionDestroyedEvent) -> None:
        self._end(Disconnected())

    def _end(self, why: Disconnected | Kicked) -> None:
        if not self._ended.done():
            self._ended.set_result(why)


@asynccontextmanager
async def open_session(
    account: Account, *, folder: Path, gate: SearchGate, metrics: SoulseekMetrics, clock: Clock
) -> AsyncIterator[SoulseekSession]:
    """A session that is logged in; leaving the context logs out at once.

    Raises:
        ServerUnreachable, LoginRefused, CannotListen: there is no session.
    """
    logging.getLogger("aioslsk").setLevel(logging.ERROR)  # it tells of every peer that cannot be reached
    client = Client(account, folder)
    session = SoulseekSession(client, account, gate=gate, metrics=metrics, clock=clock)
    try:
        await _log_in(client, account)
        yield session
    finally:
        await session.close()


async def _log_in(client: Client, account: Account) -> None:
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
            await client.start()
            await client.login()
    except AuthenticationError as error:
        raise LoginRefused(account.username, error.reason) from error
    except ListeningConnectionFailedError as error:
        raise CannotListen(account.listen_host, account.listen_port) from error
    except (AioSlskException, TimeoutError, OSError) as error:
        raise ServerUnreachable(account.server) from error


def _folders(result: SearchResult) -> list[Candidate]:
    """What one peer answered, by folder; absurd amounts and lengths are cut off."""
    files: dict[str, list[RemoteFile]] = {}
    for item in result.shared_items[:MAX_FILES]:
        if len(item.filename) <= MAX_PATH:
            files.setdefault(listings.folder_of(item.filename), []).append(_remote_file(item))
    return [
        Candidate(
            peer=result.username,
            folder=folder,
            files=tuple(listed),
            free_slot=result.has_free_slots,
            queue_length=result.queue_size,
            speed=result.avg_speed,
        )
        for folder, listed in files.items()
    ]


def _remote_file(item: FileData) -> RemoteFile:
    attributes = item.get_attribute_map()
    seconds = attributes.get(AttributeKey.DURATION)
    return RemoteFile(
        path=item.filename,
        size=item.filesize,
        duration=timedelta(seconds=seconds) if seconds else None,
        bitrate=attributes.get(AttributeKey.BITRATE),
        sample_rate=attributes.get(AttributeKey.SAMPLE_RATE),
        bit_depth=attributes.get(AttributeKey.BIT_DEPTH),
    )
