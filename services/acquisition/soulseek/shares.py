"""What we share with others: the music in one folder, and nothing that only looks as if it were in it.

Left out is what is hidden, what is no music or cover, symbolic links that lead out of the folder, names that cannot be
told to others, and private folders such as that of downloads. Looking through the folder happens beside everything
else, on a thread of its own: a disk may be slow, or hang.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aioslsk.events import EventBus
from aioslsk.exceptions import FileNotFoundError as NoSuchItem
from aioslsk.exceptions import FileNotSharedError
from aioslsk.network.network import Network
from aioslsk.protocol.primitives import DirectoryData
from aioslsk.settings import Settings, SharedDirectorySettingEntry
from aioslsk.shares.manager import SharesManager, extract_attributes
from aioslsk.shares.model import SharedDirectory, SharedItem

from libs.telemetry.logger import get_logger
from services.acquisition.domain.listings import AUDIO_EXTENSIONS, extension
from services.acquisition.domain.providers import Sharing

log = get_logger()

SHARED_EXTENSIONS = AUDIO_EXTENSIONS | {"jpg", "jpeg", "png"}


class LazyExecutor(ThreadPoolExecutor):
    """One thread that nobody waits for at the end."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="soulseek-shares")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of what is not begun; what hangs in the disk is left to it."""
        super().shutdown(wait=False, cancel_futures=True)


class MusicShares(SharesManager):
    """The stock shares, with what is shared decided here and found by its name at once."""

    def __init__(self, settings: Settings, events: EventBus, network: Network) -> None:
        super().__init__(settings, events, network, executor_factory=LazyExecutor)
        self._private: tuple[Path, ...] = ()
        self._by_path: dict[str, SharedItem] = {}
        self._listing: tuple[list[DirectoryData], list[DirectoryData]] | None = None

    def follow(self, sharing: Sharing) -> None:
        """Share this from now on; nothing of it is found before the next scan."""
        folder = sharing.folder
        self._private, self._listing = sharing.private, None
        self._settings.shares.directories = [SharedDirectorySettingEntry(path=str(folder))] if folder else []
        self._settings.transfers.limits.upload_slots = sharing.upload_slots
        self.load_from_settings()  # type: ignore[no-untyped-call]  # the library has no annotation here
        self._by_path = {path: item for path, item in self._by_path.items() if item.shared_directory in self._shared()}

    async def scan_directory_files(self, shared_directory: SharedDirectory) -> None:
        """Find what there is to share."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self.executor, _shareable, shared_directory, self._private)
        except OSError as error:
            log.warning("soulseek.not_scanned", folder=shared_directory.absolute_path, error=error.strerror)
            found = set()
        known = {item: item for item in shared_directory.items}
        shared_directory.items = {known.get(item, item) for item in found}
        self._by_path = {item.get_remote_path(): item for folder in self._shared() for item in folder.items}
        self._listing = None
        self.rebuild_term_map()  # type: ignore[no-untyped-call]  # the library has no annotation here

    async def scan_directory_file_attributes(self, shared_directory: SharedDirectory) -> None:
        """Find how long and how good the files are, one after the other."""
        loop = asyncio.get_running_loop()
        for item in list(shared_directory.items):
            if item.attributes is None:
                item.attributes = await loop.run_in_executor(self.executor, _attributes, item.get_absolute_path())

    def get_shared_item_cache(self, remote_path: str, username: str | None = None) -> SharedItem:
        """The item that was found under this name; raises as the stock method does."""
        item = self._by_path.get(remote_path)
        if item is None:
            raise NoSuchItem("not shared")
        return item

    async def get_shared_item(self, remote_path: str, username: str | None = None) -> SharedItem:
        """The item, where it is still there and still in the folder; raises as the stock method does."""
        item = self.get_shared_item_cache(remote_path, username)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self.executor, _within, item.shared_directory, self._private, [item]):
            raise FileNotSharedError("not shared")
        return item

    def create_shares_reply(self, username: str) -> tuple[list[DirectoryData], list[DirectoryData]]:
        """All that we share, as peers browse it: the same for all of them until the next scan."""
        if self._listing is None:
            self._listing = super().create_shares_reply(username)
        return self._listing

    def _shared(self) -> list[SharedDirectory]:
        shared: list[SharedDirectory] = self._shared_directories
        return shared


def _shareable(folder: SharedDirectory, private: tuple[Path, ...]) -> set[SharedItem]:
    next(Path(folder.absolute_path).iterdir(), None)  # raises OSError where it is not there, which walking it does not
    return _within(folder, private, _items(folder))


def _items(folder: SharedDirectory) -> Iterator[SharedItem]:
    root = folder.absolute_path
    for where, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = "" if where == root else os.path.relpath(where, root)
        for name in names:
            if not name.startswith(".") and extension(name) in SHARED_EXTENSIONS and _can_be_told(f"{inner}{name}"):
                try:
                    modified = Path(where, name).stat().st_mtime
                except OSError:  # it is gone, or not for us to read
                    continue
                yield SharedItem(folder, inner, name, modified)


def _within(folder: SharedDirectory, private: tuple[Path, ...], items: Iterable[SharedItem]) -> set[SharedItem]:
    """Those items that are files, really in the folder, and in none of the private ones."""
    root, excluded = Path(folder.absolute_path).resolve(), [path.resolve() for path in private]

    def is_shareable(item: SharedItem) -> bool:
        real = Path(item.get_absolute_path()).resolve()
        return (
            real.is_relative_to(root)
            and real.is_file()
            and not any(real.is_relative_to(private) for private in excluded)
        )

    return {item for item in items if is_shareable(item)}


def _can_be_told(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _attributes(path: str) -> list[tuple[int, int]]:
    try:
        found: list[tuple[int, int]] = extract_attributes(path)
    except (OSError, ValueError):
        return []
    return found
