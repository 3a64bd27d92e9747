"""One search through slskd: begun, awaited, read, and deleted, for slskd keeps every search for ever."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from libs.clock import Clock
from services.acquisition.domain import listings
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.errors import SlskdFault, SlskdUnclear
from services.acquisition.slskd.transfer import Json

MAX_FILES = 2000  # of one peer
MAX_PATH = 1000  # characters
SETTLING = timedelta(seconds=10)  # for answers to be stored, once a search was stopped
_LONGEST = 4  # times the quiet that ends a search: answers may trickle in for ever
_CUT_SHORT = 0.5  # of its time: a search without answers that ended so early was ended by a restart
_MILLISECOND = timedelta(milliseconds=1)


class Search:
    """A search of its own id; `quiet` is how long after the last answer slskd waits for another."""

    def __init__(self, client: SlskdClient, text: str, *, quiet: timedelta, poll: timedelta, clock: Clock) -> None:
        self._client = client
        self._id = str(uuid.uuid4())  # a new one each time: slskd takes none twice
        self._text = text
        self._quiet = quiet
        self._poll = poll.total_seconds()
        self._clock = clock

    async def begin(self) -> bool:
        """Send it; False where slskd finds nothing to search for in the text."""
        try:
            return await self._client.search(self._id, self._text, milliseconds=self._quiet // _MILLISECOND)
        except SlskdUnclear:
            if await self._client.find_search(self._id) is None:
                raise
            return True

    async def results(self) -> list[Candidate]:
        """What peers answered, once slskd has stored it: one candidate for each folder of each peer."""
        ended = await self._ended()
        responses = await self._client.responses(self._id)
        if not responses and self._was_cut_short(ended):
            raise SlskdFault("a search ended before its time")
        return candidates(responses)

    async def delete(self) -> None:
        """Forget it; where slskd is away, it stays there."""
        with suppress(PeerNetworkFault):
            await self._client.delete_search(self._id)

    async def _ended(self) -> Json:
        begun, stopped = self._clock.monotonic(), False
        most = _LONGEST * self._quiet.total_seconds()
        while True:
            found = await self._client.find_search(self._id)
            if found is None:
                raise SlskdFault("it lost a search")
            if found.get("endedAt"):
                return found
            waited = self._clock.monotonic() - begun
            if waited > most + SETTLING.total_seconds():
                raise SlskdFault("a search does not end")
            if waited > most and not stopped:
                await self._client.stop_search(self._id)
                stopped = True
            await asyncio.sleep(self._poll)

    def _was_cut_short(self, ended: Json) -> bool:
        if "Errored" in str(ended.get("state")):
            return True
        with suppress(KeyError, TypeError, ValueError):
            lasted = datetime.fromisoformat(ended["endedAt"]) - datetime.fromisoformat(ended["startedAt"])
            return lasted < self._quiet * _CUT_SHORT
        return False


def candidates(responses: Iterable[Json]) -> list[Candidate]:
    """Search answers by folder of each peer, without locked files; what cannot be read or is absurd is left out."""
    found: list[Candidate] = []
    for response in responses:
        peer, listed = response.get("username"), response.get("files")
        if isinstance(peer, str) and _is_text(peer) and isinstance(listed, list):
            found += _folders(peer, response, [file for file in map(_file, listed[:MAX_FILES]) if file])
    return found


def _folders(peer: str, response: Json, files: Sequence[RemoteFile]) -> list[Candidate]:
    by_folder: dict[str, list[RemoteFile]] = {}
    for file in files:
        by_folder.setdefault(listings.folder_of(file.path), []).append(file)
    return [
        Candidate(
            peer=peer,
            folder=folder,
            files=tuple(listed),
            free_slot=response.get("hasFreeUploadSlot") is True,
            queue_length=_number(response.get("queueLength")) or 0,
            speed=_number(response.get("uploadSpeed")) or 0,
        )
        for folder, listed in by_folder.items()
    ]


def _file(raw: Any) -> RemoteFile | None:
    if not isinstance(raw, Mapping) or raw.get("isLocked"):
        return None
    path, size, seconds = raw.get("filename"), _number(raw.get("size")), _number(raw.get("length"))
    if not isinstance(path, str) or not _is_text(path) or size is None:
        return None
    return RemoteFile(
        path=path,
        size=size,
        duration=timedelta(seconds=seconds) if seconds else None,
        bitrate=_number(raw.get("bitRate")),
        sample_rate=_number(raw.get("sampleRate")),
        bit_depth=_number(raw.get("bitDepth")),
    )


def _is_text(name: str) -> bool:
    """Whether it can be said to slskd again: half a surrogate pair can be read from JSON, and not be sent."""
    return 0 < len(name) <= MAX_PATH and not any("\ud800" <= char <= "\udfff" for char in name)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None
