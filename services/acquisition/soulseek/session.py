"""A session on the Soulseek network: logged in until somebody closes it, the server ends it, or another kicks us."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aioslsk.events import KickedEvent, SearchResultEvent, SessionDestroyedEvent
from aioslsk.exceptions import AioSlskException, AuthenticationError, ListeningConnectionFailedError
from aioslsk.search.model import SearchRequest

from libs.clock import Clock
from libs.telemetry.logger import get_logger
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.providers import Sharing
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.answers import Answers
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
RESCAN_SECONDS = 3600.0  # after which new music in the shared folder is found
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
        self._answers: dict[int, Answers] = {}
        self._scanning: asyncio.Task[None] | None = None
        client.events.register(SearchResultEvent, self._on_search_result)
        client.events.register(KickedEvent, self._on_kicked)
        client.events.register(SessionDestroyedEvent, self._on_destroyed)

    async def ended(self) -> Disconnected | Kicked:
        """Wait for the session's end; returns why it came."""
        return await asyncio.shield(self._ended)

    async def search(self, query: str, timeout: timedelta, *, quiet: timedelta | None = None) -> list[Candidate]:
        """What peers answer: one candidate for each folder of each peer, as far as they fit.

        Collects until nothing new comes for `quiet` (a fifth of `timeout`) after the first answer, `timeout` at most.

        Raises:
            SearchLimitReached: the server bears no further search now.
            Disconnected: the session ended.
        """
        with self._metrics.searching() as search:
            async with self._gate.turn():
                self._raise_if_ended()
                request = await self._sent(query)
                answers = self._answers_to(request.ticket)
            try:
                await self._collect(answers, timeout.total_seconds(), (quiet or timeout / _QUIET_SHARE).total_seconds())
            finally:
                self._answers.pop(request.ticket, None)
                self._client.searches.requests.pop(request.ticket, None)
            search.responses = answers.count
        return answers.candidates

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        idle_timeout: timedelta,
        queue_timeout: timedelta,
        on_progress: Callable[[int], None] = lambda _: None,
        on_place: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Fetch a file to exactly `target`; returns the size that the peer announced, in bytes.

        `on_progress` hears how many bytes have arrived, `on_place` the place in the peer's queue. When this returns,
        raises or is cancelled, nothing writes to `target` any more; unless it returned, nothing is left there.

        Raises:
            PeerOffline, QueueTimeout, TransferStalled, TransferTooSlow, TransferBroken, TransferRejected, SizeMismatch:
                the peer's part.
            TransferTaken: another call fetches the same file.
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
            on_place=on_place,
            clock=self._clock,
        )
        with self._metrics.downloads.downloading() as arrived:
            arrived.size = await self._unless_ended(download)
        return arrived.size

    def share(self, sharing: Sharing) -> None:
        """Share this from now on. What there is, is found beside everything else, and again every hour."""
        if self._scanning is not None:
            self._scanning.cancel()
        self._client.shares.follow(sharing)
        self._scanning = asyncio.create_task(self._scan())

    async def close(self) -> None:
        """Leave the network at once."""
        self._end(Disconnected())
        if self._scanning is not None:
            self._scanning.cancel()
            await asyncio.wait([self._scanning])
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

    async def _collect(self, answers: Answers, seconds: float, quiet: float) -> None:
        begun = last = self._clock.monotonic()
        count = 0
        while (now := self._clock.monotonic()) - begun < seconds and not answers.is_full:
            if answers.count > count:
                count, last = answers.count, now
            elif count and now - last > quiet:
                return
            self._raise_if_ended()
            await asyncio.sleep(_POLL_SECONDS)

    async def _scan(self) -> None:
        """Find what there is to share, again and again, and tell the server; forget uploads that have ended."""
        while True:
            try:
                await self._client.shares.scan()  # type: ignore[no-untyped-call]  # no annotation there
            except AioSlskException as error:
                log.warning("soulseek.shares_not_told", error=str(error))
            await asyncio.sleep(RESCAN_SECONDS)
            for upload in self._client.transfers.get_uploads():
                if upload.is_finalized():
                    await self._client.transfers.remove(upload)

    def _raise_if_ended(self) -> None:
        if self._ended.done():
            raise Disconnected

    async def _on_search_result(self, event: SearchResultEvent) -> None:
        self._answers_to(event.query.ticket).take(event.result)

    def _answers_to(self, ticket: int) -> Answers:
        return self._answers.setdefault(ticket, Answers(ourselves=self._account.username))

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
