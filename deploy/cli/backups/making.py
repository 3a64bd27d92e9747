"""`lockgroove backup`: copies of all databases in one sealed file, which counts once it was restored to try it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from deploy.cli.backups.installation import Installation
from deploy.cli.backups.locks import BACKUP, alone
from deploy.cli.backups.schemas import alone_in
from deploy.cli.backups.trying import try_backup
from deploy.cli.schema.databases import ServiceDatabase
from libs.backup.archive import Copy, Manifest, write_backup
from libs.backup.copies import copy_database
from libs.backup.dump import check_dump, contents_of
from libs.backup.files import beside, told
from libs.backup.folder import name_for, remove_outdated
from libs.backup.header import Header, Secrets, new_header
from libs.backup.sqlite import check_sqlite, revision_of
from libs.crypto.rootkey import FILE

_MAKING = ".making-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One that was made. `removed` are older ones that left."""

    path: Path
    made_at: datetime
    release: str
    revisions: dict[str, str]
    size: int
    verified: bool = True
    rows: dict[str, int] = field(default_factory=dict)
    removed: list[Path] = field(default_factory=list)


async def make_backup(
    environment: Mapping[str, str], folder: Path | None = None, *, verify: bool = True, now: datetime | None = None
) -> Backup:
    """Makes a backup in a folder, LOCKGROOVE_BACKUP_PATH unless told; older ones leave as retention says.

    Raises AppError: then there is no file, and what was there is as it was.
    """
    installation, moment = (
        Installation.of(environment),
        (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0),
    )
    secrets, place = installation.secrets_to_seal(), (folder or installation.folder).absolute()
    async with _alone(place, installation):
        target = name_for(place, moment, verified=verify)
        with told(place), _scratch(place) as scratch:
            manifest, members = await _copied(installation, secrets, scratch)
            header, key = new_header(
                secrets,
                now=moment,
                release=installation.release,
                dialect=installation.dialect,
                revisions={service: each.revision for service, each in manifest.copies.items()},
            )
            with beside(target) as part:
                await asyncio.to_thread(write_backup, part, header, key, manifest, members)
                if verify:
                    await _verify(part, installation, secrets, scratch)
        leaving = remove_outdated(place, now=moment, days=installation.days, most=installation.keep) if verify else []
    return _told(target, header, manifest, leaving, verified=verify)


async def _copied(installation: Installation, secrets: Secrets, scratch: Path) -> tuple[Manifest, dict[str, Path]]:
    """A copy of every database, and what each must hold."""
    copies: dict[str, Copy] = {}
    members: dict[str, Path] = {}
    for where in installation.databases:
        path = scratch / where.copy_name
        await copy_database(where.url, where.schema, path)
        copies[where.service] = await asyncio.to_thread(_described, where, path)
        members[where.copy_name] = path
    if secrets.passphrase and not installation.key_is_given():
        members[FILE] = installation.key_file
    return Manifest(copies=copies), members


def _described(where: ServiceDatabase, path: Path) -> Copy:
    if where.file:
        return Copy(file=path.name, revision=revision_of(path), rows=check_sqlite(path))
    return Copy(file=path.name, revision=contents_of(path).revision, rows=check_dump(path))


async def _verify(part: Path, installation: Installation, secrets: Secrets, scratch: Path) -> None:
    for where in installation.databases:
        (scratch / where.copy_name).unlink()  # the disk need not hold both
    tried = scratch / "tried"
    tried.mkdir(mode=0o700)
    await try_backup(part, installation.databases, secrets, tried)


@asynccontextmanager
async def _alone(place: Path, installation: Installation) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.enter_context(alone(place, BACKUP))
        await stack.enter_async_context(alone_in(installation.databases[0].url))
        _sweep(place)
        yield


def _sweep(place: Path) -> None:
    """Takes away what one left that was killed; the lock says that nobody works on it."""
    with told(place):
        for left in [*place.glob(f"{_MAKING}*"), *place.glob(".lockgroove-*.part")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix=_MAKING, dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(target: Path, header: Header, manifest: Manifest, leaving: list[Path], *, verified: bool) -> Backup:
    return Backup(
        path=target,
        made_at=header.made,
        release=header.release,
        revisions=dict(header.revisions),
        size=target.stat().st_size,
        verified=verified,
        rows={service: sum(each.rows.values()) for service, each in manifest.copies.items()},
        removed=leaving,
    )
