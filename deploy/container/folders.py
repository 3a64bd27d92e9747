"""The folders that outlive the container: whether they are mounted, and whether its user may write into them."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.container.account import Account

MOUNTS = Path("/proc/self/mountinfo")

_MOUNT_POINT = 4  # the field, of mountinfo in proc(5)
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder, and the variable that names it; in one that is `read_only` nothing is written."""

    variable: str
    path: Path
    read_only: bool = False

    def not_mounted(self, mounts: str) -> Iterator[str]:
        """Why what is written here would be gone with the container, if it would."""
        try:
            path = self.path.resolve()
        except RuntimeError:  # what Python before 3.13 says of a link that leads to itself
            path = self.path
        if not self.path.is_absolute():
            yield f"{self.variable}: {self.path} has to begin with a slash"
        elif mount_of(path, mounts) == Path("/"):
            what = f"{self.path} is a part of the container, and gone when that is"
            yield f"{self.variable}: {what}: mount a folder of the host there (-v /srv/somewhere:{self.path})"

    def unusable(self, account: Account) -> Iterator[str]:
        """Why the user that this process is cannot work here, if it cannot; leaves nothing behind."""
        if not self.path.is_dir():
            yield f"{self.variable}: there is no folder {self.path}"
        elif self.read_only:
            if not os.access(self.path, os.R_OK | os.X_OK):
                yield f"{self.variable}: {self.path} cannot be read{self._advice(account)}"
        elif error := _write_fails(self.path):
            advice = self._advice(account) if isinstance(error, PermissionError) else ""
            yield f"{self.variable}: {self.path} cannot be written to ({error.strerror}){advice}"

    def _advice(self, account: Account) -> str:
        owner = self.path.stat()
        here = f"it belongs to {owner.st_uid}:{owner.st_gid}, the container runs as {account.uid}:{account.gid}"
        return f": {here}; on the host, `chown -R {account.uid}:{account.gid}` the folder that is mounted there"


class Home(Folder):
    """The data folder, or that of backups: made by us where it is missing, and ours where it is new."""

    def own(self, account: Account) -> None:
        """Takes a new, empty volume over from root. Never what is in a folder: that may be much, and not ours."""
        with suppress(OSError):  # what could not be done is found by `unusable`
            if self.path.stat().st_uid == 0 != account.uid and not any(self.path.iterdir()):
                os.chown(self.path, account.uid, account.gid)

    def unusable(self, account: Account) -> Iterator[str]:
        """As of any folder; and the databases in it are ours."""
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = list(super().unusable(account))
        yield from found
        if not found:
            for file in (file for file in sorted(self.path.glob("*.db")) if not os.access(file, os.R_OK | os.W_OK)):
                yield f"{self.variable}: {file} is not ours{self._advice(account)}"


def mount_of(path: Path, mounts: str) -> Path:
    """The mount point that a path is below; `mounts` as in /proc/self/mountinfo."""
    points = {Path(_unescaped(line.split()[_MOUNT_POINT])) for line in mounts.splitlines()}
    return next(place for place in (path, *path.parents) if place in points or place == Path("/"))


def _unescaped(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _write_fails(folder: Path) -> OSError | None:
    probe = folder / f".lockgroove-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        return error
    return None
