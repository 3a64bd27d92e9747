"""`lockgroove restore`: databases become what a backup holds, or stay what they are."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.cli.backups.installation import Installation
from deploy.cli.backups.locks import RESTORE, alone
from deploy.cli.backups.schemas import RESTORING, alone_in, swap_schemas
from deploy.cli.backups.standing import require_standstill
from deploy.cli.backups.swapping import STAGING, finish, stage, swap
from deploy.cli.backups.trying import load, roots_in
from libs.backup.archive import Manifest, unpack_backup
from libs.backup.errors import NewerRelease, WrongBackupKey
from libs.backup.header import Header, Secrets, header_of
from libs.backup.load import drop_schema
from libs.backup.pending import PENDING_RESTORE, require_no_pending_restore
from libs.crypto import keyfile
from libs.crypto.rootkey import FILE, RootKeys
from libs.errors import AppError, FailedPrecondition


class OtherDialect(FailedPrecondition):
    """The backup is of SQLite and the installation of PostgreSQL, or the other way round."""

    reason = "OTHER_DIALECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: `before` names where what was there before is kept."""

    header: Header
    before: list[str]
    key_restored: bool = False
    verified_only: bool = False


async def restore_backup(
    environment: Mapping[str, str], path: Path, *, verify_only: bool = False, now: datetime | None = None
) -> Restored:
    """Restores every database from a backup; with `verify_only` where nobody looks.

    Raises AppError: then everything is as it was. After a kill, the next restore or start finishes what had begun.
    """
    installation = Installation.of(environment)
    header = header_of(path)
    _require_fitting(header, installation, path)
    secrets = installation.secrets()
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ").lower()
    async with _alone(installation, still=not verify_only):
        staging = await asyncio.to_thread(stage, installation.home)
        try:
            return await _restore(installation, header, path, secrets, staging, stamp=stamp, verify_only=verify_only)
        finally:
            await _sweep(installation)


async def _restore(
    installation: Installation,
    header: Header,
    path: Path,
    secrets: Secrets,
    staging: Path,
    *,
    stamp: str,
    verify_only: bool,
) -> Restored:
    manifest = await asyncio.to_thread(unpack_backup, path, secrets, staging)
    brought = roots_in(staging)
    await _load(installation, manifest, staging, secrets.roots or brought)
    if verify_only:
        return Restored(header=header, before=[], verified_only=True)
    key_restored = _bring_key(installation, staging) if brought and not installation.has_key() else False
    await require_standstill(installation)  # it took a while
    if installation.dialect == "postgresql":
        before = await swap_schemas(installation.databases, stamp=stamp)
    else:
        names = [each.file for each in manifest.copies.values()]
        before = [str(swap(installation.home, names, stamp=stamp))]  # in one go: Ctrl-C waits for it
    return Restored(header=header, before=before, key_restored=key_restored)


async def _load(installation: Installation, manifest: Manifest, staging: Path, roots: RootKeys | None) -> None:
    if roots is None:
        raise WrongBackupKey(
            "there is no root key here, and none in the backup: put the secret.key of its time into the data folder"
        )
    for where in installation.databases:
        await load(where, manifest, staging, ending=RESTORING, roots=roots)


def _bring_key(installation: Installation, staging: Path) -> bool:
    keyfile.make(installation.key_file, keyfile.read(staging / FILE))
    return True


def _require_fitting(header: Header, installation: Installation, path: Path) -> None:
    if header.dialect != installation.dialect:
        raise OtherDialect(
            f"{path} is a backup of {header.dialect}, and this installation uses {installation.dialect}:"
            " set or take away DATABASE_URL as it was at its time"
        )
    for where in installation.databases:
        if header.revisions.get(where.service, "") > where.head:
            raise NewerRelease(
                f"{path} was made by release {header.release} of a {where.service} database at revision"
                f" {header.revisions[where.service]}; this is release {installation.release}, which knows"
                f" {where.head}: restore it with the release that made that revision, or a later one"
            )


@asynccontextmanager
async def _alone(installation: Installation, *, still: bool) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.enter_context(alone(installation.home, RESTORE))
        await stack.enter_async_context(alone_in(installation.databases[0].url))
        if still:
            await require_standstill(installation)
            finish(installation.home)
        require_no_pending_restore(installation.home)
        yield


async def _sweep(installation: Installation) -> None:
    """Takes away what was staged and is not in place, unless files are on their way."""
    if not (installation.home / PENDING_RESTORE).exists():
        await asyncio.to_thread(shutil.rmtree, installation.home / STAGING, ignore_errors=True)
    for where in installation.databases:
        if not where.file:
            with suppress(AppError):  # the next one takes it away
                await drop_schema(where.url, where.schema + RESTORING)
