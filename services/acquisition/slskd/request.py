"""The request for one file in slskd: made once, and found again after whatever came in between.

A batch's GUID follows from what is wanted, so that slskd refuses a second one (409) and shows the first. One that came
to nothing stays known to slskd for ever: the next generation has another GUID.
"""

import asyncio
from datetime import UTC, datetime

from libs.clock import Clock
from services.acquisition.domain import listings
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.peer_faults import PeerOffline, TransferRejected
from services.acquisition.slskd.client import Enqueued, SlskdClient
from services.acquisition.slskd.errors import SlskdFault, SlskdUnclear
from services.acquisition.slskd.patience import Paces
from services.acquisition.slskd.place import Place, is_of
from services.acquisition.slskd.transfer import Transfer

GENERATIONS = 50
_BAD, _GONE, _KNOWN, _BROKEN = 400, 404, 409, 500
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Request:
    """A wanted file of a peer. `is_ours` tells whether the transfer is, or somebody else's who wants the same file."""

    def __init__(
        self, client: SlskdClient, place: Place, *, peer: str, file: RemoteFile, paces: Paces, clock: Clock
    ) -> None:
        self.is_ours = True
        self.place = place
        self.peer = peer
        self.file = file
        self.name = listings.file_name(file.path)
        self._client = client
        self._paces = paces
        self._clock = clock
        self._generation = 0

    async def begin(self) -> Transfer:
        """The transfer that fetches the file, a new one or one that runs. Raises NetworkAway, PeerFailed."""
        await self._client.ensure_ready()
        while self._generation < GENERATIONS:
            if (transfer := await self._ask(self._batch_id())) is not None:
                return transfer
            self.renew()
        raise TransferRejected(self.peer, self.name, "slskd does not take it, however often it is asked.")

    def renew(self) -> None:
        """Ask anew the next time: what was asked for until now came to nothing."""
        self._generation += 1

    async def asked(self) -> Transfer | None:
        """The transfer of the request that was sent last, if slskd has made one."""
        return next(iter(await self._client.find_batch(self._batch_id()) or ()), None)

    async def successor(self, before: Transfer) -> Transfer | None:
        """What slskd made of a transfer that its restart cut off; None when it makes nothing of it.

        Raises SlskdAway until slskd is logged in: it asks for files only then.
        """
        deadline = self._clock.monotonic() + self._paces.resuming.total_seconds()
        while True:
            await self._client.ensure_ready()
            found = [transfer for transfer in await self._client.transfers(self.peer) if transfer.follows(before)]
            if found:
                return max(found, key=lambda transfer: transfer.requested or _LONG_AGO)
            if self._clock.monotonic() > deadline:
                return None
            await asyncio.sleep(self._paces.poll.total_seconds())

    def _batch_id(self) -> str:
        return self.place.batch_id(self.peer, self.file, self._generation)

    async def _ask(self, batch_id: str) -> Transfer | None:
        """The transfer, or None where this batch has come to nothing."""
        self.is_ours = True
        try:
            answer = await self._client.enqueue(batch_id, self.peer, self.file, self.place.destination)
        except SlskdUnclear:
            if (transfer := await self.asked()) is None:
                raise
            return transfer
        if answer.transfer is not None:
            return answer.transfer
        if answer.is_in_progress:
            return await self._running()
        if answer.status in (_KNOWN, _BROKEN):
            return await self._known(batch_id, is_new=answer.status == _BROKEN)
        raise self._refusal(answer)

    async def _known(self, batch_id: str, *, is_new: bool) -> Transfer | None:
        """What is in a batch that was made: nothing, where the peer could not be reached."""
        made = await self._client.find_batch(batch_id)
        if is_new and made is None:
            raise SlskdFault("it could not ask for a file")
        if is_new and not made:
            raise PeerOffline(self.peer)
        transfer = made[0] if made else None
        stopped = transfer is not None and "Cancelled" in transfer.states  # most likely by us, in an earlier run
        return None if stopped else transfer

    async def _running(self) -> Transfer | None:
        """The transfer of the same file that somebody began; None when it has just ended."""
        for transfer in await self._client.transfers(self.peer):
            if transfer.path == self.file.path and not transfer.is_over:
                if transfer.size != self.file.size:
                    raise TransferRejected(self.peer, self.name, "slskd fetches another version of it.")
                self.is_ours = is_of(self.place.acquisition, transfer.batch_id)
                return transfer
        return None

    def _refusal(self, answer: Enqueued) -> Exception:
        if answer.status == _GONE:
            return PeerOffline(self.peer)
        return TransferRejected(self.peer, self.name, f'slskd says "{answer.message}".')
