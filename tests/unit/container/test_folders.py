import errno
import os
from pathlib import Path

import pytest

from deploy.container.account import Account
from deploy.container.folders import Folder, mount_of

MOUNTS = r"""
21 20 0:44 / / ro,relatime - overlay overlay rw
22 21 8:1 /srv/music /music rw - ext4 /dev/sda1 rw
23 21 8:1 /srv/data /data rw shared:1 - ext4 /dev/sda1 rw
24 21 8:1 /srv/x /with\040blank rw - ext4 /dev/sda1 rw
""".strip()


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/music", "/music"),
        ("/data/media/music", "/data"),
        ("/with blank/a", "/with blank"),
        ("/musical", "/"),
        ("/", "/"),
    ],
)
def test_a_path_is_on_the_nearest_mount_above_it(path: str, mount: str) -> None:
    assert mount_of(Path(path), MOUNTS) == Path(mount)


def test_a_folder_of_the_image_is_no_mount_however_it_came_there() -> None:
    [problem] = Folder(variable="DOWNLOAD_PATH", path=Path("/downloads")).not_mounted(MOUNTS)

    assert problem.startswith("DOWNLOAD_PATH: /downloads is a part of the container")
    assert "-v /srv/somewhere:/downloads" in problem


def test_a_relative_path_is_refused() -> None:
    [problem] = Folder(variable="MUSIC_PATH", path=Path("music")).not_mounted(MOUNTS)

    assert problem == "MUSIC_PATH: music has to begin with a slash"


def test_no_other_owner_is_advised_where_that_is_not_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    folder = Folder(variable="MUSIC_PATH", path=tmp_path)

    told = list(folder.unusable(Account(uid=1000, gid=1000, umask=0o002)))

    assert told == [f"MUSIC_PATH: {tmp_path} cannot be written to (Read-only file system)"]
