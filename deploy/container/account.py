"""Who the container runs as: PUID, PGID and UMASK, checked, and the way from root to there."""

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

UID, GID, UMASK = "1000", "1000", "002"  # where nothing is said
ROOT_IS_MEANT = "ALLOW_ROOT"

_HIGHEST_ID = 2**32 - 2  # the last one means "leave it as it is"
_LONGEST = 10  # digits
_HIGHEST_UMASK = 0o077  # whose own rights are taken, too, cannot open what it made


class CannotBecome(Exception):
    """The container may not become somebody else, or there is nobody of that number; the text says what mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and a group by their numbers, and what is taken from the rights of the files they make."""

    uid: int
    gid: int
    umask: int

    def become(self) -> None:
        """Gives up root for good, with its groups; nothing to do for who was never root. Raises CannotBecome."""
        os.umask(self.umask)
        if (os.getuid(), os.getgid()) == (self.uid, self.gid):
            return
        try:
            os.setgroups([])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise CannotBecome(f"cannot become user {self.uid} and group {self.gid}: {_way(error)}") from error


def read_account(environment: Mapping[str, str]) -> Account:
    """The account that the environment names, or the one that the container was started as; `problems` come first."""
    umask = int(environment.get("UMASK") or UMASK, 8)
    if os.getuid() != 0:
        return Account(uid=os.getuid(), gid=os.getgid(), umask=umask)
    return Account(uid=int(environment.get("PUID") or UID), gid=int(environment.get("PGID") or GID), umask=umask)


def problems(environment: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the variables, each in a sentence."""
    for name, default in (("PUID", UID), ("PGID", GID)):
        yield from _not_an_id(name, environment.get(name) or default, environment)
    umask = environment.get("UMASK") or UMASK
    if not _is_octal(umask):
        yield f"UMASK: {umask!r} is not a mask of rights: three octal digits, such as 002 or 022"


def notes(environment: Mapping[str, str]) -> Iterator[str]:
    """What has no effect, because the container was not started as root."""
    given = {name: environment[name] for name in ("PUID", "PGID") if environment.get(name)}
    actual = {"PUID": str(os.getuid()), "PGID": str(os.getgid())}
    if os.getuid() != 0:
        for name, value in given.items():
            if value != actual[name]:
                yield f"{name}: {value} is ignored: the container was started as {actual[name]}"


def _not_an_id(name: str, text: str, environment: Mapping[str, str]) -> Iterator[str]:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST and int(text) <= _HIGHEST_ID):
        yield f"{name}: {text!r} is not a number of a user or group: `id -u` and `id -g` tell yours"
    elif int(text) == 0 and environment.get(ROOT_IS_MEANT) != "true":
        yield f"{name}: 0 is root: name the owner of your folders, or set {ROOT_IS_MEANT}=true if it is meant"


def _way(error: OSError) -> str:
    if error.errno == errno.EINVAL:
        return (
            "the user namespace of the container has no such number: `cat /proc/self/uid_map` in it tells which it has"
        )
    return "leave the container the capabilities SETUID and SETGID, or start it as that user (user: in compose)"


def _is_octal(text: str) -> bool:
    return set(text) <= set("01234567") and int(text, 8) <= _HIGHEST_UMASK
