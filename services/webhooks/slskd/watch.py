"""Everything that the service does with slskd of its own accord, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs import ids
from libs.outbound.http import httpx
from libs.sql.watermarks import SqlWatermarks
from services.webhooks.domain.backfill import Backfill, Door, Gap, SenderLog
from services.webhooks.ground import Ground
from services.webhooks.peers import Address, Peer, address_in
from services.webhooks.slskd.log import SlskdLog
from services.webhooks.slskd.store import SqlKnownKeys
from services.webhooks.tables import watermark


@dataclass(frozen=True, slots=True, kw_only=True)
class SlskdWatch:
    """The gaps for the reconciler, and whom they ask."""

    peer: Peer
    gaps: Sequence[Gap]


def watch_slskd(ground: Ground, http: httpx.AsyncClient, *, door: Door, log: SenderLog) -> SlskdWatch:
    """The gap for the reconciler, wired to the settings in force."""

    def address() -> Address | None:
        return address_in(ground.live.current.settings.slskd)

    peer = Peer(http, name="slskd", prefix="/api/v0", address=address, clock=ground.clock)
    backfill = Backfill(door, source="slskd", clock=ground.clock, new_id=lambda: ids.new("evt"), log=log)
    found = SlskdLog(peer, backfill, SqlKnownKeys(ground.database), SqlWatermarks(ground.database, watermark))
    return SlskdWatch(peer=peer, gaps=[found])
