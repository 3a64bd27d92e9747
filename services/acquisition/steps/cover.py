"""Fetches the picture of an album's front, where its main peer offers one: welcome, never needed."""

import asyncio
import hashlib
from pathlib import Path

from libs.telemetry.logger import get_logger
from services.acquisition.domain.artwork import picture_format
from services.acquisition.domain.offers import Offer
from services.acquisition.domain.peers import PeerNetwork, PeerNetworkFault
from services.acquisition.domain.soulseek_plan import Artwork

log = get_logger()

PATIENCE_SECONDS = 60.0  # for the whole picture: an album does not wait for it


async def fetch_cover(network: PeerNetwork, offer: Offer, folder: Path, place: str) -> Artwork | None:
    """The picture at `place` below the folder, or None: whatever is wrong with it is no fault of the album."""
    if offer.cover is None:
        return None
    path = folder / place
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            size = await network.download(offer.main, offer.cover, path, on_bytes=_unheard)
        content = await asyncio.to_thread(path.read_bytes)
    except (PeerNetworkFault, TimeoutError, OSError) as error:
        log.info("acquisition.cover_did_not_come", peer=offer.main, why=str(error))
        return None
    form = picture_format(content)
    if form is None or size != len(content):
        log.info("acquisition.cover_is_no_picture", peer=offer.main)
        return None
    return Artwork(place=place, form=form, size=size, sha256=hashlib.sha256(content).hexdigest())


def _unheard(_received: int) -> None:
    """Nobody follows a picture."""
