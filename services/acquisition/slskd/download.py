"""One file through slskd, watched until it is where it belongs.

 asked for ──► queued ──► sending ──► succeeded ──► landed
   ▲             │ the queue's │ the idle clock
   │             └─────────────┴──► failed: for good only when slskd has no try left
   └── cut off by a restart of slskd, which asks for the file again by itself: adopted, else asked for anew

slskd gives up on nothing that waits, and forgets nothing that it was told: whatever ends here is cancelled there, and
has ended there before anybody else is asked for the file. An outage cancels nothing: whoever comes back adopts it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any, TypeVar

from libs.clock import Clock
from libs.telemetry.logger import get_logger
from services.acquisition.domain.peers import NetworkAway, PeerFailed, PeerNetworkFault
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.ending import end
from services.acquisition.slskd.errors import FileMissing, TransferCancelled
from services.acquisition.slskd.landing import Landing, make_room
from services.acquisition.slskd.patience import Clocks, Limits, Looks, Paces
from services.acquisition.slskd.request import Request
from services.acquisition.slskd.transfer import Transfer
from services.acquisition.slskd.verdict import failure, is_final

log = get_logger()

T = TypeVar("T")

BLIND_LOOKS = 3  # in a row, until it is an outage: a hiccup would cost whatever else runs beside this
_COMPLETE = "DownloadFileComplete"


class Download:
    """A file on its way to `target`. `serving` counts, by peer, the files that are being sent to us."""

    def __init__(
        self,
        client: SlskdClient,
        request: Request,
        landing: Landing,
        target: Path,
        *,
        limits: Limits,
        paces: Paces,
        serving: Counter[str],
        on_bytes: Callable[[int], None],
        on_place: Callable[[int], None] | None,
        clock: Clock,
    ) -> None:
        self._client = client
        self._request = request
        self._landing = landing
        self._target = target
        self._paces = paces
        self._serving = serving
        self._on_bytes = on_bytes
        self._on_place = on_place
        self._clock = clock
        self._clocks = Clocks(request.peer, request.name, limits)
        self._transfer: Transfer | None = None
        self._is_served = False
        self._announced = ""
        self._blind = 0

    async def run(self) -> int:
        """Fetch the file; returns its size. Raises NetworkAway, NetworkUnusable, PeerFailed and OSError."""
        await asyncio.to_thread(make_room, self._target)
        try:
            while not await self._fetch():
                self._transfer = None
                self._request.renew()
        except (PeerFailed, OSError):
            await self._stop()
            await asyncio.to_thread(self._discard)
            raise
        except asyncio.CancelledError:
            with suppress(PeerNetworkFault):
                await self._stop()
            raise
        finally:
            self._serve(False)
        await self._tidy()
        return self._request.file.size

    async def _fetch(self) -> bool:
        """Whether it is there; False where what was asked for came to nothing, and nobody is to blame."""
        self._transfer = await self._request.begin()
        return await self._watch() and await self._land()

    async def _watch(self) -> bool:
        """Wait for slskd to have all bytes; False when it has forgotten what it was to fetch."""
        looks = Looks(self._paces)
        while not (transfer := self._running()).succeeded:
            if transfer.was_cut_off:
                if (successor := await self._request.successor(transfer)) is None:
                    return False
                self._transfer = successor
                continue
            self._raise_if_over(transfer)
            self._tell(transfer)
            await self._look_again(transfer, looks)
        self._serve(False)
        self._on_bytes(self._request.file.size)
        return True

    def _raise_if_over(self, transfer: Transfer) -> None:
        if not transfer.is_over:
            self._clocks.raise_if_over()
        elif is_final(transfer) or self._clocks.failing > self._paces.failing.total_seconds():
            raise failure(transfer)

    def _tell(self, transfer: Transfer) -> None:
        self._serve(transfer.is_sending)
        if transfer.received:
            self._on_bytes(transfer.received)
        if transfer.place and self._on_place is not None:
            self._on_place(transfer.place)

    async def _look_again(self, before: Transfer, looks: Looks) -> None:
        begun = self._clock.monotonic()
        await looks.pause()
        try:
            found = await self._client.find_transfer(before.peer, before.id)
        except NetworkAway:
            self._blind += 1
            if self._blind >= BLIND_LOOKS:
                raise
            return
        self._blind = 0
        if found is None:
            await self._client.ensure_ready()  # a proxy that has lost slskd says 404, too
            raise TransferCancelled(before.peer, self._request.name)
        others = self._serving[before.peer] - self._is_served
        self._clocks.count(found, self._clock.monotonic() - begun, is_served=others > 0)
        self._transfer = found

    def _serve(self, is_served: bool) -> None:
        """Say whether the peer is busy with this file."""
        self._serving[self._request.peer] += is_served - self._is_served
        self._is_served = is_served

    async def _land(self) -> bool:
        """Wait for the file, and take it. Raises FileMissing; False where it was somebody else's, and has gone."""
        deadline, looks = self._clock.monotonic() + self._paces.landing.total_seconds(), Looks(self._paces)
        while True:
            source = await self._source()
            if source is not None and await self._take(source):
                return True
            if self._clock.monotonic() > deadline:
                break
            await looks.pause()
        if self._request.is_ours:
            raise FileMissing(self._request.name, self._why_missing())
        return False

    async def _source(self) -> Path | None:
        """Where slskd has put it: in our folder, or where its event says."""
        size = self._request.file.size
        found = await asyncio.to_thread(self._landing.find, self._request.place.destination, size)
        if found is not None:
            return found
        self._announced = self._announced or await self._local_name()
        if not self._announced:
            return None
        return await asyncio.to_thread(self._landing.translate, self._announced, size)

    async def _local_name(self) -> str:
        """What slskd's event says of the file; empty while there is none."""
        for event in await self._client.events():
            if event.get("type") == _COMPLETE:
                data = _data(event.get("data"))
                transfer = data.get("transfer")
                if isinstance(transfer, Mapping) and transfer.get("id") == self._running().id:
                    return str(data.get("localFilename") or "")
        return ""

    async def _take(self, source: Path) -> bool:
        """Whether it could be taken; what is not ours stays where it is."""
        leave = not self._request.is_ours
        try:
            await _to_its_end(asyncio.to_thread(self._landing.take, source, self._target, leave=leave))
        except FileNotFoundError:
            return False
        return True

    def _why_missing(self) -> str:
        if self._announced:
            return f"it is not below slskd.downloadPath (slskd calls it {self._announced}). Correct the setting"
        return "has not put it into its downloads folder. Look at its disk and its log"

    async def _stop(self) -> None:
        """Make sure that slskd does nothing for us any more."""
        transfer = self._transfer or await self._request.asked()
        if transfer is not None and self._request.is_ours:
            await end(self._client, [transfer], paces=self._paces, clock=self._clock)

    def _discard(self) -> None:
        """Leave nothing behind, here and there."""
        for path in (self._target, self._target.with_name(f"{self._target.name}.part")):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._landing.remove(self._request.place.destination)

    async def _tidy(self) -> None:
        """Take the finished download off slskd's list, and our empty folder away; neither is worth a failure."""
        if self._request.is_ours:
            try:
                await self._client.hide(self._running())
            except PeerNetworkFault as error:
                log.warning("slskd.not_tidied", reason=error.reason)
            await asyncio.to_thread(self._landing.remove, self._request.place.destination)

    def _running(self) -> Transfer:
        assert self._transfer is not None, "a download is watched once it has begun"
        return self._transfer


async def _to_its_end(work: Any) -> None:
    """Await work in a thread even when cancelled: nothing may write any more when this returns."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _data(text: object) -> Mapping[str, Any]:
    """What an event says: JSON inside a string."""
    try:
        data = loads(text) if isinstance(text, str) else text
    except (JSONDecodeError, RecursionError):
        return {}
    return data if isinstance(data, Mapping) else {}
