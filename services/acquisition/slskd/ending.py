"""Ends downloads for good: slskd cancels in its own time, and may still be about to try one again that has failed."""

from collections.abc import Collection

from libs.clock import Clock
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.errors import SlskdFault
from services.acquisition.slskd.patience import Looks, Paces
from services.acquisition.slskd.transfer import Transfer

_FINAL = frozenset({"Succeeded", "Cancelled", "Rejected"})


async def end(client: SlskdClient, transfers: Collection[Transfer], *, paces: Paces, clock: Clock) -> None:
    """Cancel, wait until that is done, and take them off slskd's list. Raises NetworkAway and NetworkUnusable."""
    for transfer in transfers:
        await client.cancel(transfer)
    for transfer in transfers:
        await _over(client, transfer, paces, clock)
        await client.hide(transfer)


async def _over(client: SlskdClient, transfer: Transfer, paces: Paces, clock: Clock) -> None:
    """Wait until it has ended, and stays so for another look unless its state is one that stays."""
    deadline = clock.monotonic() + paces.ending.total_seconds()
    looks, over = Looks(paces), 0
    while (found := await client.find_transfer(transfer.peer, transfer.id)) is not None:
        over = over + 1 if found.is_over else 0
        if over > 1 or (over and found.states & _FINAL):
            return
        if clock.monotonic() > deadline:
            raise SlskdFault("a download that was cancelled does not end")
        await looks.pause()
