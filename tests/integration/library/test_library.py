import asyncio
import errno
import hashlib
import os
import sys
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from services.acquisition.library import (
    INCOMING,
    AlbumFolderExists,
    DiskFull,
    Library,
    LibraryMissing,
    LibraryNotWritable,
    StagedFile,
    StagedFileMissing,
)
from tests.support.full_disk import files_limited_to

FOLDER = PurePosixPath("The Amber Harbours/Counting Lanterns (1980)")
KILLED = 137
CONTENT = {"01 Gilded Lanterns.flac": b"one" * 1000, "02 Crooked Rivers.flac": b"two" * 1000}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "music").mkdir()
    return tmp_path / "music"


@pytest.fixture
def staged(tmp_path: Path) -> list[StagedFile]:
    staging = tmp_path / "staging"
    staging.mkdir()
    return [stage(staging / f"{number}.part", name) for number, name in enumerate(CONTENT)]


def stage(path: Path, name: str) -> StagedFile:
    path.write_bytes(CONTENT[name])
    digest = hashlib.sha256(CONTENT[name]).hexdigest()
    return StagedFile(path=path, name=name, size=len(CONTENT[name]), sha256=digest)


def visible(root: Path) -> dict[str, bytes]:
    """What a music player sees."""
    files = (path for path in root.rglob("*") if path.is_file())
    relative = {path.relative_to(root): path for path in files}
    return {str(name): path.read_bytes() for name, path in relative.items() if not name.parts[0].startswith(".")}


WHOLE = {f"{FOLDER}/{name}": content for name, content in CONTENT.items()}


async def test_an_album_is_published_whole(root: Path, staged: list[StagedFile]) -> None:
    published = await Library(root).publish(staged, FOLDER, token="acq-1")

    assert visible(root) == WHOLE
    assert [file.path for file in published] == [root / FOLDER / name for name in CONTENT]


async def test_publishing_leaves_nothing_else_behind(root: Path, staged: list[StagedFile]) -> None:
    await Library(root).publish(staged, FOLDER, token="acq-1")

    assert list((root / INCOMING).iterdir()) == []
    assert all(file.path.exists() for file in staged)


async def test_publishing_again_after_a_lost_record_is_a_success(root: Path, staged: list[StagedFile]) -> None:
    first = await Library(root).publish(staged, FOLDER, token="acq-1")

    assert await Library(root).publish(staged, FOLDER, token="acq-1") == first


async def test_publishing_again_needs_no_staged_files(root: Path, staged: list[StagedFile]) -> None:
    await Library(root).publish(staged, FOLDER, token="acq-1")
    for file in staged:
        file.path.unlink()

    await Library(root).publish(staged, FOLDER, token="acq-1")


@pytest.mark.parametrize("name", ["01 Gilded Lanterns.flac", "03 Other.flac"])
async def test_what_is_there_is_never_replaced(root: Path, staged: list[StagedFile], name: str) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / name).write_bytes(b"mine")

    with pytest.raises(AlbumFolderExists, match="Counting Lanterns"):
        await Library(root).publish(staged, FOLDER, token="acq-1")
    assert visible(root) == {f"{FOLDER}/{name}": b"mine"}


async def test_a_file_in_the_place_of_the_folder_is_not_replaced(root: Path, staged: list[StagedFile]) -> None:
    (root / FOLDER).parent.mkdir()
    (root / FOLDER).write_bytes(b"mine")

    with pytest.raises(AlbumFolderExists):
        await Library(root).publish(staged, FOLDER, token="acq-1")


async def test_an_empty_folder_is_taken_over(root: Path, staged: list[StagedFile]) -> None:
    (root / FOLDER).mkdir(parents=True)

    await Library(root).publish(staged, FOLDER, token="acq-1")

    assert visible(root) == WHOLE


async def test_a_staged_file_that_changed_is_refused(root: Path, staged: list[StagedFile]) -> None:
    staged[1].path.write_bytes(b"else")

    with pytest.raises(StagedFileMissing, match=r"1\.part"):
        await Library(root).publish(staged, FOLDER, token="acq-1")
    assert visible(root) == {}


async def test_a_staged_file_that_is_gone_is_named(root: Path, staged: list[StagedFile]) -> None:
    staged[1].path.unlink()

    with pytest.raises(StagedFileMissing, match=r"1\.part"):
        await Library(root).publish(staged, FOLDER, token="acq-1")


async def test_a_missing_music_folder_is_not_created(tmp_path: Path, staged: list[StagedFile]) -> None:
    with pytest.raises(LibraryMissing, match="Mount or create it"):
        await Library(tmp_path / "unmounted").publish(staged, FOLDER, token="acq-1")
    assert not (tmp_path / "unmounted").exists()


async def test_a_music_folder_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LibraryMissing):
        await Library(tmp_path / "file" / "music").check()


async def test_an_unwritable_music_folder_is_named(staged: list[StagedFile]) -> None:
    # Nobody may make folders in /proc, not even root.
    with pytest.raises(LibraryNotWritable, match=r"/proc/.*storage\.musicPath"):
        await Library(Path("/proc")).publish(staged, FOLDER, token="acq-1")


async def test_a_file_in_the_place_of_the_artist_is_named(root: Path, staged: list[StagedFile]) -> None:
    (root / FOLDER.parts[0]).touch()

    with pytest.raises(LibraryNotWritable, match="Counting Lanterns"):
        await Library(root).publish(staged, FOLDER, token="acq-1")
    assert list(visible(root).values()) == [b""]


async def test_too_little_room_is_refused_before_it_is_used(root: Path) -> None:
    with pytest.raises(DiskFull, match="Free some space"):
        await Library(root, free_bytes=lambda _: 1 << 20).require_space(root, 1)


async def test_an_album_from_another_disk_is_copied(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _another_disk)

    await Library(root).publish(staged, FOLDER, token="acq-1")

    assert visible(root) == WHOLE


async def test_a_disk_that_fills_up_while_copying_leaves_nothing(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _another_disk)

    with files_limited_to(2000), pytest.raises(DiskFull, match="Counting Lanterns"):
        await Library(root).publish(staged, FOLDER, token="acq-1")
    assert visible(root) == {}


async def test_an_album_that_did_not_fit_is_published_once_there_is_room(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _another_disk)
    with files_limited_to(2000), pytest.raises(DiskFull):
        await Library(root).publish(staged, FOLDER, token="acq-1")

    await Library(root).publish(staged, FOLDER, token="acq-1")

    assert visible(root) == WHOLE


async def test_a_sweep_removes_only_what_is_known_to_have_ended(root: Path) -> None:
    for name in ("ended.1", "active.1", "foreign"):
        (root / INCOMING / name).mkdir(parents=True)
    asked: set[str] = set()

    async def ended(tokens: Collection[str]) -> Collection[str]:
        asked.update(tokens)
        return ["ended"]

    await Library(root).sweep(ended)

    assert {path.name for path in (root / INCOMING).iterdir()} == {"active.1", "foreign"}
    assert asked == {"ended", "active", "foreign"}


async def test_what_a_killed_publisher_left_is_discarded(root: Path) -> None:
    for name in ("acq-1.a", "acq-1.b", "acq-2.a"):
        (root / INCOMING / name).mkdir(parents=True)

    await Library(root).discard("acq-1")

    assert [path.name for path in (root / INCOMING).iterdir()] == ["acq-2.a"]


async def test_a_disk_that_is_full_keeps_nothing_of_the_album(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _another_disk)

    with files_limited_to(2000), pytest.raises(DiskFull):
        await Library(root).publish(staged, FOLDER, token="acq-1")

    assert list((root / INCOMING).iterdir()) == []


async def test_publishing_that_is_cancelled_never_shows_the_album(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    linking, linked, go_on = os.link, threading.Event(), threading.Event()

    def link(source: Path, target: Path) -> None:
        linking(source, target)
        linked.set()
        assert go_on.wait(10)

    monkeypatch.setattr(os, "link", link)
    publishing = asyncio.create_task(Library(root).publish(staged, FOLDER, token="acq-1"))
    await asyncio.to_thread(linked.wait, 10)

    publishing.cancel()
    await asyncio.sleep(0)
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert visible(root) == {}
    assert list((root / INCOMING).iterdir()) == []


async def test_an_album_that_is_in_the_library_cannot_be_called_off(
    root: Path, staged: list[StagedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    renaming, renamed, go_on = Path.rename, threading.Event(), threading.Event()

    def rename(source: Path, target: Path) -> Path:
        moved = renaming(source, target)
        renamed.set()
        assert go_on.wait(10)
        return moved

    monkeypatch.setattr(Path, "rename", rename)
    publishing = asyncio.create_task(Library(root).publish(staged, FOLDER, token="acq-1"))
    await asyncio.to_thread(renamed.wait, 10)

    publishing.cancel()
    await asyncio.sleep(0)
    go_on.set()

    assert len(await publishing) == len(staged)
    assert visible(root) == WHOLE


async def test_two_that_publish_the_same_at_once_both_succeed(root: Path, staged: list[StagedFile]) -> None:
    one, two = await asyncio.gather(*(Library(root).publish(staged, FOLDER, token=token) for token in ("a", "b")))

    assert one == two
    assert visible(root) == WHOLE


@pytest.mark.parametrize(
    ("folder", "name", "token"),
    [
        ("../out/Album", "01.flac", "t"),
        ("/etc/x", "01.flac", "t"),
        ("Artist/..", "01.flac", "t"),
        ("Artist/Album", "../01.flac", "t"),
        ("Artist/Album", "01.flac", "../t"),
        ("Artist", "01.flac", "t"),
    ],
)
async def test_no_name_leaves_the_library(
    root: Path, staged: list[StagedFile], folder: str, name: str, token: str
) -> None:
    harmful = StagedFile(path=staged[0].path, name=name, size=staged[0].size, sha256=staged[0].sha256)

    with pytest.raises(ValueError, match="not names for the library"):
        await Library(root).publish([harmful], PurePosixPath(folder), token=token)


def test_a_kill_at_any_step_shows_no_album_or_the_whole_one(tmp_path: Path) -> None:
    for step in range(1000):
        (place := tmp_path / str(step)).mkdir()
        (place / "staging").mkdir()
        (root := place / "music").mkdir()
        staged = [stage(place / "staging" / f"{number}", name) for number, name in enumerate(CONTENT)]

        killed = publish_in_a_child(root, staged, kill_at=step)

        assert visible(root) in ({}, WHOLE)
        assert publish_in_a_child(root, staged, kill_at=None) is False
        assert visible(root) == WHOLE
        assert list((root / INCOMING).iterdir()) == []
        if not killed:
            break
    assert step > 10


def publish_in_a_child(root: Path, staged: list[StagedFile], *, kill_at: int | None) -> bool:
    """Publish in a process that dies at the given step on the filesystem; True if it died of that."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(_Killer(kill_at))
        Library(root)._publish(staged, FOLDER, "acq-1", threading.Event())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    exit_status = os.waitstatus_to_exitcode(status)
    assert exit_status in (0, KILLED)
    return exit_status == KILLED


class _Killer:
    """Ends the process, without any clean-up, before a step on the filesystem."""

    def __init__(self, kill_at: int | None) -> None:
        self._kill_at, self._steps = kill_at, 0

    def __call__(self, event: str, _: Any) -> None:
        if event == "open" or event.startswith(("os.", "shutil.")):
            if self._steps == self._kill_at:
                os._exit(KILLED)
            self._steps += 1


def _another_disk(*_: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


async def test_an_album_is_itself_without_what_is_optional(root: Path, staged: list[StagedFile]) -> None:
    await Library(root).publish(staged, FOLDER, token="acq-1")
    cover = replace(stage(staged[0].path.with_name("2.part"), staged[0].name), name="cover.jpg", optional=True)

    again = await Library(root).publish([*staged, cover], FOLDER, token="acq-2")

    assert [file.path.name for file in again] == list(CONTENT)
    assert visible(root) == WHOLE


async def test_a_picture_that_is_there_already_stays(root: Path, staged: list[StagedFile]) -> None:
    await Library(root).publish(staged, FOLDER, token="acq-1")
    (root / FOLDER / "cover.jpg").write_bytes(b"mine")
    cover = replace(stage(staged[0].path.with_name("2.part"), staged[0].name), name="cover.jpg", optional=True)

    await Library(root).publish([*staged, cover], FOLDER, token="acq-2")

    assert (root / FOLDER / "cover.jpg").read_bytes() == b"mine"


async def test_as_much_stays_free_as_is_asked_for(root: Path) -> None:
    library = Library(root, reserve=1 << 30, free_bytes=lambda _: (1 << 30) + 10)

    await library.require_space(root, 10)
    with pytest.raises(DiskFull):
        await library.require_space(root, 11)


async def test_what_is_staged_on_the_same_disk_needs_no_more_room(root: Path, tmp_path: Path) -> None:
    await Library(root, free_bytes=lambda _: 32 << 20).require_own_space(tmp_path, 1 << 40)


async def test_what_is_staged_on_another_disk_needs_its_room(root: Path) -> None:
    with pytest.raises(DiskFull):
        await Library(root, free_bytes=lambda _: 32 << 20).require_own_space(Path("/proc"), 1 << 30)
