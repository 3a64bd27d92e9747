"""A PostgreSQL schema of one moment as one file, in frames.

file  = "LGDUMP1\\n" frame*
frame = kind (1 byte), length (4 bytes, big-endian), content

J  JSON: the revision, the tables with their columns, partitions and sequences; first
T  JSON: a table begins
D  rows of it, as PostgreSQL's COPY writes text: of the same meaning to every version
E  JSON: its rows, and the SHA-256 of them
Z  the end: a file without it was cut
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import asyncpg

from libs.backup import postgresql
from libs.backup.errors import Damaged
from libs.backup.files import beside
from libs.backup.postgresql import Partition, connected, quoted

MAGIC = b"LGDUMP1\n"

_LONGEST = 1 << 30  # bytes of a frame
_HEAD = 5  # bytes before the content


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a dump says that it holds."""

    revision: str
    tables: dict[str, list[str]]
    partitions: list[Partition]
    sequences: dict[str, int | None]

    @classmethod
    def parse(cls, content: bytes) -> "Contents":
        """From the first frame."""
        document = json.loads(content)
        return cls(**{**document, "partitions": [Partition(**each) for each in document["partitions"]]})


async def dump_schema(url: str, schema: str, target: Path) -> None:
    """Writes the schema as one reading transaction sees it; nobody who writes waits."""
    with beside(target) as part, part.open("wb") as file:
        async with (
            connected(url, schema) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            contents = await _contents(connection, schema)
            await _hold(connection, contents)
            file.write(MAGIC)
            _write(file, b"J", json.dumps(asdict(contents)).encode())
            for table, columns in contents.tables.items():
                await _dump_table(connection, file, table, columns)
            _write(file, b"Z", b"")


def frames(dump: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each frame up to the end. Raises Damaged."""
    with dump.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Damaged(f"{dump} is no dump of a database")
        while True:
            head = file.read(_HEAD)
            length = int.from_bytes(head[1:], "big")
            content = file.read(length) if len(head) == _HEAD and length <= _LONGEST else b""
            if len(head) < _HEAD or len(content) < length:
                raise Damaged(f"{dump} is cut short or damaged")
            if head[:1] == b"Z":
                return
            yield head[:1], content


def contents_of(dump: Path) -> Contents:
    """What a dump holds. Raises Damaged."""
    kind, content = next(frames(dump), (b"", b""))
    if kind != b"J":
        raise Damaged(f"{dump} does not say what it holds")
    return Contents.parse(content)


def check_dump(dump: Path) -> dict[str, int]:
    """The tables of a dump with their rows, if all is as it was written. Raises Damaged."""
    rows: dict[str, int] = {}
    table, digest = "", hashlib.sha256()
    for kind, content in frames(dump):
        if kind == b"T":
            table, digest = json.loads(content)["table"], hashlib.sha256()
        elif kind == b"D":
            digest.update(content)
        elif kind == b"E":
            told = json.loads(content)
            if told["sha256"] != digest.hexdigest():
                raise Damaged(f"the rows of {table} in {dump} are damaged")
            rows[table] = told["rows"]
    if rows.keys() != contents_of(dump).tables.keys():
        raise Damaged(f"{dump} lacks tables")
    return rows


async def _contents(connection: asyncpg.Connection, schema: str) -> Contents:
    tables = await postgresql.tables(connection, schema)
    tracked = "alembic_version" in tables
    revision = await connection.fetchval("SELECT version_num FROM alembic_version") if tracked else ""
    order = await postgresql.parents_first(connection, schema, list(tables))
    return Contents(
        revision=revision or "",
        tables={name: tables[name] for name in order},
        partitions=await postgresql.partitions(connection, schema),
        sequences=await postgresql.sequences(connection, schema),
    )


async def _hold(connection: asyncpg.Connection, contents: Contents) -> None:
    """Lets nobody change or drop a table, or a partition, before it is read."""
    names = [*contents.tables, *(each.name for each in contents.partitions)]
    if names:
        await connection.execute(f"LOCK TABLE ONLY {', ONLY '.join(map(quoted, names))} IN ACCESS SHARE MODE")


async def _dump_table(connection: asyncpg.Connection, file: IO[bytes], table: str, columns: list[str]) -> None:
    _write(file, b"T", json.dumps({"table": table}).encode())
    digest = hashlib.sha256()

    async def take(rows: bytes) -> None:
        digest.update(rows)
        _write(file, b"D", rows)

    named = ", ".join(map(quoted, columns))
    # A query, since COPY of a partitioned table itself has no rows.
    status = await connection.copy_from_query(f"SELECT {named} FROM {quoted(table)}", output=take)  # noqa: S608 (names of the schema)
    _write(file, b"E", json.dumps({"rows": int(status.split()[-1]), "sha256": digest.hexdigest()}).encode())


def _write(file: IO[bytes], kind: bytes, content: Any) -> None:
    file.write(kind + len(content).to_bytes(4, "big"))
    file.write(content)
