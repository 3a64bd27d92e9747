"""What peers answer to one search: folders with their files, never more than fits.

Everything in an answer is a peer's claim, also its name. What cannot be a file or a peer is left out, numbers are cut
to what they can be, and neither a peer nor all of them together fill the memory.
"""

from datetime import timedelta

from aioslsk.protocol.primitives import AttributeKey, FileData
from aioslsk.search.model import SearchResult

from services.acquisition.domain import listings
from services.acquisition.domain.candidates import Candidate, RemoteFile

MAX_ANSWERS = 500
MAX_FILES = 2000  # of one answer
MAX_FILES_IN_ALL = 50_000
MAX_ANSWERS_OF_A_PEER = 3
MAX_PATH = 1000  # characters
MAX_NAME = 200
_LARGEST_NUMBER = (1 << 31) - 1
_LARGEST_SIZE = (1 << 63) - 1


class Answers:
    """Collects; `count` is how many peers' answers there are."""

    def __init__(self, *, ourselves: str) -> None:
        self.count = 0
        self._ourselves = ourselves
        self._files = 0
        self._by_peer: dict[str, int] = {}
        self._folders: dict[tuple[str, str], Candidate] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another answer."""
        return self.count >= MAX_ANSWERS or self._files >= MAX_FILES_IN_ALL

    @property
    def candidates(self) -> list[Candidate]:
        """The folders, in the order in which they were offered; those of locked files are not among them."""
        return list(self._folders.values())

    def take(self, result: SearchResult) -> None:
        """Add a peer's answer, where there is room."""
        peer = result.username
        if self.is_full or peer == self._ourselves or not _is_text(peer, MAX_NAME):
            return
        if self._by_peer.get(peer, 0) >= MAX_ANSWERS_OF_A_PEER:
            return
        self._by_peer[peer] = self._by_peer.get(peer, 0) + 1
        self.count += 1
        for candidate in _folders(result):
            self._files += len(candidate.files)
            self._folders[peer, candidate.folder] = candidate


def _folders(result: SearchResult) -> list[Candidate]:
    files: dict[str, list[RemoteFile]] = {}
    for item in result.shared_items[:MAX_FILES]:
        if _is_text(item.filename, MAX_PATH) and 0 <= item.filesize <= _LARGEST_SIZE:
            files.setdefault(listings.folder_of(item.filename), []).append(_remote_file(item))
    return [
        Candidate(
            peer=result.username,
            folder=folder,
            files=tuple(listed),
            free_slot=bool(result.has_free_slots),
            queue_length=min(result.queue_size, _LARGEST_NUMBER),
            speed=min(result.avg_speed, _LARGEST_NUMBER),
        )
        for folder, listed in files.items()
    ]


def _remote_file(item: FileData) -> RemoteFile:
    attributes = {key: min(value, _LARGEST_NUMBER) for key, value in item.get_attribute_map().items()}
    seconds = attributes.get(AttributeKey.DURATION)
    return RemoteFile(
        path=item.filename,
        size=item.filesize,
        duration=timedelta(seconds=seconds) if seconds else None,
        bitrate=attributes.get(AttributeKey.BITRATE),
        sample_rate=attributes.get(AttributeKey.SAMPLE_RATE),
        bit_depth=attributes.get(AttributeKey.BIT_DEPTH),
    )


def _is_text(text: str, longest: int) -> bool:
    """Whether it can be kept: PostgreSQL refuses the character 0."""
    return 0 < len(text) <= longest and "\0" not in text
