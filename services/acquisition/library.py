"""The music library: a verified album enters it whole, in one rename, or not at all.

<root>/.lockgroove-incoming/<token>.<try>/   the album, being built on the library's own filesystem
<root>/Artist/Album (Year)/                  the album, after the one rename

A crash at any point leaves the staging folder untouched and at most a hidden incoming folder: publishing again under
the same token begins again, and finds out when the rename had happened already. Two that publish the same at once, one
of which has lost its job without noticing, do not get in each other's way: each try has a folder of its own.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from libs.errors import AlreadyExists, FailedPrecondition, ResourceExhausted

INCOMING = ".lockgroove-incoming"
"""The hidden folder in the library in which albums are built."""

RESERVE_BYTES = 16 << 20
"""Left free on any disk that we fill."""

_CHUNK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES})
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR})


class LibraryMissing(FailedPrecondition):
    """The music folder is not there: it is never created, for it may be a disk that is not mounted."""

    reason = "LIBRARY_MISSING"


class LibraryNotWritable(FailedPrecondition):
    """The music folder, or a folder on the way, cannot be written."""

    reason = "LIBRARY_NOT_WRITABLE"


class DiskFull(ResourceExhausted):
    """There is not enough room on a disk."""

    reason = "DISK_FULL"


class AlbumFolderExists(AlreadyExists):
    """The album's folder is there already and holds something else; nothing is ever replaced."""

    reason = "ALBUM_FOLDER_EXISTS"


class StagedFileMissing(FailedPrecondition):
    """A file to publish is gone from the staging folder, or is not the one that was verified."""

    reason = "STAGED_FILE_MISSING"


class _CalledOff(Exception):
    """The caller was cancelled before the album was in the library: it is not going to be."""


Ended = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Which of these publishers are known to have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A verified file: where it lies, its name to be, and what it holds; the album is whole without `optional` ones."""

    path: Path
    name: str
    size: int
    sha256: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file in the library."""

    path: Path
    size: int
    sha256: str


class Library:
    """The library below `root`. `free_bytes` tells how much room a folder's disk has, of which `reserve` stays free."""

    def __init__(
        self, root: Path, *, reserve: int = RESERVE_BYTES, free_bytes: Callable[[Path], int] | None = None
    ) -> None:
        self._root = root
        self._reserve = max(reserve, RESERVE_BYTES)
        self._free_bytes = free_bytes or _free_bytes

    async def check(self) -> None:
        """Make sure that albums can be published.

        Raises:
            LibraryMissing: the folder is not there.
            LibraryNotWritable: it cannot be written.
        """
        await asyncio.to_thread(self._incoming)

    async def require_space(self, folder: Path, needed: int) -> None:
        """Make sure that `needed` bytes fit into a folder (staging or library), which must exist.

        Raises:
            DiskFull: they do not.
        """
        await asyncio.to_thread(self._require_space, folder, needed)

    async def require_own_space(self, staging: Path, needed: int) -> None:
        """Make sure that what is staged in a folder fits into the library; on the same disk it takes no more room.

        Raises:
            DiskFull: it does not.
        """
        await asyncio.to_thread(self._require_own_space, staging, needed)

    async def publish(
        self, files: Sequence[StagedFile], folder: PurePosixPath, *, token: str
    ) -> tuple[PublishedFile, ...]:
        """Put the files into the library's `folder` (`Artist/Album`), all at once; the staged files stay.

        `token` names the publisher (a job's id): publishing again under it, after whatever crash, ends the same.
        Cancelled before the album is in the library, it stops, and it never will be; after that it is too late to
        cancel, and this returns.

        Raises:
            LibraryMissing, LibraryNotWritable, DiskFull: see `check` and `require_space`.
            AlbumFolderExists: the folder holds something else.
            StagedFileMissing: a staged file is not the verified one.
        """
        _check_names(folder, [file.name for file in files], token)
        called_off = threading.Event()
        publishing = asyncio.create_task(asyncio.to_thread(self._publish, files, folder, token, called_off))
        while True:
            try:
                return await asyncio.shield(publishing)
            except asyncio.CancelledError:
                called_off.set()  # a thread cannot be cancelled: it looks for itself
                if publishing.cancelled():
                    raise
            except _CalledOff:
                raise asyncio.CancelledError from None

    async def discard(self, token: str) -> None:
        """Remove what a publisher that has ended left behind."""
        await asyncio.to_thread(self._remove, frozenset({token}))

    async def sweep(self, ended: Ended) -> None:
        """Remove what publishers that have ended left behind; what nobody knows is not touched."""
        left = await asyncio.to_thread(lambda: {_publisher(path) for path in self._left()})
        await asyncio.to_thread(self._remove, frozenset(await ended(left)))

    def _publish(
        self, files: Sequence[StagedFile], folder: PurePosixPath, token: str, called_off: threading.Event
    ) -> tuple[PublishedFile, ...]:
        target = self._root / folder
        parent = self._incoming()
        with self._explained(target):
            if not _holds_exactly(target, files):
                with _own_folder(parent, token) as incoming:
                    self._build(files, incoming, called_off)
                    target.parent.mkdir(exist_ok=True)
                    _rename(incoming, target, files)
                _sync_folder(target.parent)
                _sync_folder(self._root)
        self._remove(frozenset({token}))  # of tries that crashed
        there = [file for file in files if not file.optional or (target / file.name).exists()]
        return tuple(PublishedFile(path=target / file.name, size=file.size, sha256=file.sha256) for file in there)

    def _build(self, files: Sequence[StagedFile], incoming: Path, called_off: threading.Event) -> None:
        """The whole album in the incoming folder, on disk for good."""
        for file in files:
            self._bring(file, incoming / file.name)
            if called_off.is_set():
                raise _CalledOff
        _sync_folder(incoming)

    def _bring(self, file: StagedFile, path: Path) -> None:
        """The staged file under its new name: the same file where links work, else a copy; compared and synced."""
        try:
            os.link(file.path, path)
        except FileNotFoundError as error:
            raise _staged_file_missing(file) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._require_space(path.parent, file.size)
            shutil.copyfile(file.path, path)
        if _sha256(path) != file.sha256:
            raise _staged_file_missing(file)
        _sync(path)

    def _incoming(self) -> Path:
        """The incoming folder, made where it is not there yet."""
        incoming = self._root / INCOMING
        with self._explained(incoming):
            if not self._root.is_dir():
                raise LibraryMissing(
                    f"The music folder {self._root} does not exist. Mount or create it, or set storage.musicPath.",
                    metadata={"folder": str(self._root)},
                )
            incoming.mkdir(exist_ok=True)
            if not os.access(incoming, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "Permission denied")
        return incoming

    def _require_space(self, folder: Path, needed: int) -> None:
        if (free := self._free_bytes(folder)) < needed + self._reserve:
            raise _disk_full(folder, f"{needed + self._reserve} bytes are needed, {free} are free")

    def _require_own_space(self, staging: Path, needed: int) -> None:
        same_disk = staging.stat().st_dev == self._root.stat().st_dev
        self._require_space(self._root, 0 if same_disk else needed)

    def _left(self) -> list[Path]:
        """What lies in the incoming folder, as far as anybody may look."""
        with suppress(OSError):
            return list((self._root / INCOMING).iterdir())
        return []

    def _remove(self, tokens: frozenset[str]) -> None:
        for path in self._left():
            if _publisher(path) in tokens:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _explained(self, folder: Path) -> Iterator[None]:
        """Turn what the system says about a folder into what a person can do about it."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise _disk_full(folder, error.strerror or "no space left") from error
            raise LibraryNotWritable(
                f"The folder {folder} cannot be written ({error.strerror}). Give this service's user write access to "
                f"the music folder {self._root}, or set storage.musicPath.",
                metadata={"folder": str(folder)},
            ) from error


@contextmanager
def _own_folder(parent: Path, token: str) -> Iterator[Path]:
    """A folder for one try; whatever is left of it at the end is removed."""
    folder = parent / f"{token}.{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publisher(path: Path) -> str:
    return path.name.partition(".")[0]


def _rename(incoming: Path, target: Path, files: Sequence[StagedFile]) -> None:
    """Rename onto nothing, or onto an empty folder: POSIX refuses a folder with content."""
    try:
        incoming.rename(target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        if _holds_exactly(target, files):
            return
        raise AlbumFolderExists(
            f"The folder {target} exists already and holds something else. Move or delete it, then retry.",
            metadata={"folder": str(target)},
        ) from error


def _check_names(folder: PurePosixPath, names: Sequence[str], token: str) -> None:
    components = [*folder.parts, *names, token]
    harmful = any(not name or name.startswith(".") or set("/\\\0") & set(name) for name in components)
    if harmful or len(folder.parts) != 2 or len(set(names)) != len(names):
        raise ValueError(f"not names for the library: {components}")


def _holds_exactly(target: Path, files: Sequence[StagedFile]) -> bool:
    """Whether the folder is the album already: published before a crash that kept us from recording it."""
    if not target.is_dir():
        return False
    present = {path.name for path in target.iterdir() if not path.name.startswith(".")}
    needed = [file for file in files if not file.optional]
    return present - {file.name for file in files if file.optional} == {file.name for file in needed} and all(
        (target / file.name).stat().st_size == file.size and _sha256(target / file.name) == file.sha256
        for file in needed
    )


def _staged_file_missing(file: StagedFile) -> StagedFileMissing:
    return StagedFileMissing(
        f"The verified file {file.path} is gone or has changed. Retry the acquisition to fetch it again.",
        metadata={"file": str(file.path)},
    )


def _disk_full(folder: Path, why: str) -> DiskFull:
    return DiskFull(
        f"The disk of {folder} is full ({why}). Free some space, then retry.", metadata={"folder": str(folder)}
    )


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # network filesystems that sync on their own
            raise
    finally:
        os.close(descriptor)
