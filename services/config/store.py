"""Settings and their history in SQL; secrets enter and leave the rows sealed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto import Tampered, WrongKey
from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.telemetry.logger import get_logger
from services.config.domain.catalogue import Catalogue, WrongValueError
from services.config.domain.configuration import VersionMovedError
from services.config.domain.history import Origin, revision_context
from services.config.domain.keys import ApiKey
from services.config.domain.values import Stored
from services.config.history import KEPT, record
from services.config.tables import config_state, setting
from services.config.vault import Vault

log = get_logger(__name__)


class SqlSettingStore:
    """Settings in one database; `kept` is how many revisions of them are."""

    def __init__(self, database: Database, *, catalogue: Catalogue, vault: Vault, kept: int = KEPT) -> None:
        self._database = database
        self._catalogue = catalogue
        self._vault = vault
        self._kept = kept

    async def note_fallbacks(self, texts: Mapping[str, str], given: ApiKey | None) -> None:
        """Makes other fallbacks or another given key than at the last start a change, so that followers see it."""
        said = [*sorted(texts.items()), given and given.digest]
        print_ = self._vault.fingerprint("fallbacks", repr(said))
        async with self._database.writing() as connection:
            await connection.execute(
                update(config_state)
                .where(config_state.c.fallbacks != print_)
                .values(fallbacks=print_, version=config_state.c.version + 1)
            )

    async def version(self) -> int:
        """The version that is held now; it changes with every change."""
        async with self._database.reading() as connection:
            return await _version(connection)

    async def load(self) -> Stored:
        """What is held now. The version is read first: values may be newer than it says, never older."""
        async with self._database.reading() as connection:
            version = await _version(connection)
            rows = (await connection.execute(select(setting))).mappings().all()
        known = [row for row in rows if self._catalogue.find(row["path"])]  # a newer release may have left more
        texts = {row["path"]: await self._read(row) for row in known}
        unreadable = frozenset(path for path, text in texts.items() if text is None)
        return Stored(
            version=version,
            texts={path: text for path, text in texts.items() if text is not None},
            unreadable=unreadable,
        )

    async def save(
        self, changes: Mapping[str, str | None], *, version: int, actor: str, origin: Origin = Origin.UPDATE
    ) -> None:
        """Keeps these texts (None: forgets it) if `version` is still the current one, else raises VersionMovedError."""
        said = {"revision": version + 1, "actor": actor, "changed_at": now_ms(), "origin": origin.value}
        async with self._database.writing() as connection:
            state = update(config_state).where(config_state.c.version == version).values(version=version + 1)
            if not (await connection.execute(state)).rowcount:
                raise VersionMovedError
            await connection.execute(delete(setting).where(setting.c.path.in_(changes)))
            for path, text in changes.items():
                if text is not None:
                    row = await self._row(connection, path, text)
                    await connection.execute(insert(setting).values(**row, updated_at=now_ms()))
            events = [await self._event(connection, *change, version + 1) for change in changes.items()]
            await record(connection, [{**event, **said} for event in events], kept=self._kept)
        log.info(
            "settings.changed",
            revision=version + 1,
            actor=actor,
            origin=origin.value,
            changes=[self._shown(*each) for each in changes.items()],
        )

    async def _read(self, row: RowMapping) -> str | None:
        """The text of a row, or None if it cannot be read: it was damaged, or written for another setting."""
        spec = self._catalogue.get(row["path"])
        try:
            sealed = row["sealed"]
            return spec.parse(row["value"] if sealed is None else await self._vault.open(spec.path, sealed))
        except (WrongKey, Tampered, WrongValueError) as error:
            log.error("setting.unreadable", path=spec.path, fault=type(error).__name__, remedy="set it again")
            return None

    async def _row(self, connection: AsyncConnection, path: str, text: str) -> dict[str, Any]:
        if self._catalogue.get(path).secret:
            return {"path": path, "sealed": await self._vault.seal(connection, path, text)}
        return {"path": path, "value": text}

    async def _event(self, connection: AsyncConnection, path: str, text: str | None, revision: int) -> dict[str, Any]:
        """What the history keeps of a change: of a secret the fingerprint, and itself sealed for a rollback."""
        kept: dict[str, Any] = {"path": path, "value": None, "fingerprint": None, "sealed": None}
        if text is None:
            return kept
        if not self._catalogue.get(path).secret:
            return {**kept, "value": text}
        sealed = await self._vault.seal(connection, revision_context(path, revision), text)
        return {**kept, "fingerprint": self._vault.fingerprint(path, text), "sealed": sealed}

    def _shown(self, path: str, text: str | None) -> str:
        return f"{path}={'(reset)' if text is None else self._vault.fingerprint(path, text)}"


async def _version(connection: AsyncConnection) -> int:
    version: int = (await connection.execute(select(config_state.c.version))).scalar_one()
    return version
