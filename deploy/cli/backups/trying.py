"""Whether a backup can be restored, found out by restoring it where nobody looks."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.cli.backups.installation import KEEPERS
from deploy.cli.schema.databases import ServiceDatabase
from libs.backup.archive import Manifest, unpack_backup
from libs.backup.dump import check_dump
from libs.backup.errors import Damaged, NewerRelease, WrongBackupKey
from libs.backup.header import Secrets
from libs.backup.load import drop_schema, load_dump
from libs.backup.sqlite import check_sqlite
from libs.crypto.datakeys import Wrapping
from libs.crypto.keyring import Tampered, WrongKey
from libs.crypto.rootkey import FILE, RootKeys, load_root_keys
from libs.sql.engine import open_database

CHECK = "_check"
"""What the schema of a test restore is called behind the name of the real one."""


async def try_backup(path: Path, databases: Sequence[ServiceDatabase], secrets: Secrets, folder: Path) -> None:
    """Restores a backup into an empty folder and schemas that are dropped. Raises Damaged or WrongBackupKey."""
    manifest = await asyncio.to_thread(unpack_backup, path, secrets, folder)
    roots = roots_in(folder) or secrets.roots
    for where in databases:
        try:
            await load(where, manifest, folder, ending=CHECK, roots=roots)
        finally:
            if not where.file:
                await drop_schema(where.url, where.schema + CHECK)


async def load(
    where: ServiceDatabase, manifest: Manifest, folder: Path, *, ending: str, roots: RootKeys | None
) -> None:
    """Checks an unpacked copy; one of PostgreSQL is loaded into the schema of that ending.

    Raises Damaged, NewerRelease, or WrongBackupKey where the root keys do not open its data keys.
    """
    if (said := manifest.copies.get(where.service)) is None:
        raise Damaged(f"the backup holds nothing of {where.service}")
    path = folder / said.file
    if where.file:
        rows: Mapping[str, int] = await asyncio.to_thread(check_sqlite, path)
        url, schema = f"sqlite+aiosqlite:///{path}", where.schema
    else:
        _require_known(where, said.revision)
        await asyncio.to_thread(check_dump, path)
        url, schema = where.url, where.schema + ending
        await drop_schema(url, schema)
        rows = await load_dump(url, schema, path, package=where.package)
    if rows != said.rows:
        changed = sorted(table for table in rows.keys() | said.rows.keys() if rows.get(table) != said.rows.get(table))
        raise Damaged(f"the backup of {where.service} lacks rows of {', '.join(changed)}: take another backup")
    if where.service in KEEPERS and roots is not None:
        await _require_key(where, url, schema, roots)


def _require_known(where: ServiceDatabase, revision: str) -> None:
    """Our own revisions make the tables of a dump."""
    if revision > where.head:
        raise NewerRelease(
            f"the {where.service} database is at revision {revision} of a newer release, and this one knows"
            f" {where.head}: only that one can try its backup; make it with --no-verify meanwhile"
        )


def roots_in(folder: Path) -> RootKeys | None:
    """The root keys that an unpacked backup brings along."""
    return load_root_keys(folder) if (folder / FILE).exists() else None


async def _require_key(where: ServiceDatabase, url: str, schema: str, roots: RootKeys) -> None:
    wrapping = Wrapping(roots)
    async with open_database(url, schema=schema) as database, database.reading() as connection:
        try:
            for row in await _data_keys(connection, where.service):
                wrapping.open(row)
        except WrongKey as error:
            raise WrongBackupKey(
                f"the root key here ({wrapping.root_key_id}) does not open the secrets of {where.service} in the"
                " backup: put the secret.key of its time into the data folder, or set LOCKGROOVE_SECRET_KEY; nothing"
                " was changed"
            ) from error
        except Tampered as error:
            raise Damaged(f"the secrets of {where.service} in the backup are damaged: take another backup") from error


async def _data_keys(connection: AsyncConnection, service: str) -> Sequence[Mapping[str, Any]]:
    table = import_module(f"services.{service}.tables").data_key
    if not await connection.run_sync(lambda sync: inspect(sync).has_table(table.name)):
        return []  # of a release before there were data keys
    found: Sequence[Any] = (await connection.execute(select(table))).mappings().all()
    return found
