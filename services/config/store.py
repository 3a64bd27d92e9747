"""Settings and their history in SQL; secrets enter and leave the rows sealed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto import Tampered, WrongKey
from libs.errors import FailedPrecondition
from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.telemetry.logger import get_logger
from services.config.domain.catalogue import Catalogue, WrongValueError
from services.config.domain.configuration import VersionMovedError
from services.config.domain.keys import ApiKey
from services.config.domain.values import Stored
from services.config.tables import config_state, setting, setting_revision
from services.config.vault import Vault

_CANARY = "canary"

log = get_logger(__name__)


class WrongRootKey(FailedPrecondition):
    """The root key is not the one that the secrets in the database were sealed with."""

    reason = "WRONG_ROOT_KEY"


class SqlSettingStore:
    """Settings in one database."""

    def __init__(self, database: Database, *, catalogue: Catalogue, vault: Vault) -> None:
        self._database = database
        self._catalogue = catalogue
        self._vault = vault

    async def check_root_key(self) -> None:
        """Seals a canary at the first start and opens it at each later one; raises WrongRootKey, changing nothing."""
        made = self._vault.seal(_CANARY, _CANARY)
        async with self._database.writing() as connection:
            await connection.execute(update(config_state).where(config_state.c.canary.is_(None)).values(canary=made))
            held = (await connection.execute(select(config_state.c.canary))).scalar_one()
        try:
            self._vault.open(_CANARY, held)
        except WrongKey as error:
            raise WrongRootKey(
                f"the root key does not open the secrets in {self._database.place}: give LOCKGROOVE_SECRET_KEY, or the "
                "file secret.key in the data folder, the key of the first start; nothing was changed"
            ) from error

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
        texts = {row["path"]: self._read(row) for row in known}
        unreadable = frozenset(path for path, text in texts.items() if text is None)
        return Stored(
            version=version,
            texts={path: text for path, text in texts.items() if text is not None},
            unreadable=unreadable,
        )

    async def save(self, changes: Mapping[str, str | None], *, version: int, actor: str) -> None:
        """Keeps these texts (None: forgets it) if `version` is still the current one, else raises VersionMovedError."""
        async with self._database.writing() as connection:
            state = update(config_state).where(config_state.c.version == version).values(version=version + 1)
            if not (await connection.execute(state)).rowcount:
                raise VersionMovedError
            await connection.execute(delete(setting).where(setting.c.path.in_(changes)))
            for path, text in changes.items():
                if text is not None:
                    await connection.execute(insert(setting).values(**self._row(path, text), updated_at=now_ms()))
                await connection.execute(
                    insert(setting_revision).values(
                        **self._event(path, text), revision=version + 1, actor=actor, changed_at=now_ms()
                    )
                )
        log.info(
            "settings.changed",
            revision=version + 1,
            actor=actor,
            changes=[self._shown(*each) for each in changes.items()],
        )

    def _read(self, row: RowMapping) -> str | None:
        """The text of a row, or None if it cannot be read: it was damaged, or written for another setting."""
        spec = self._catalogue.get(row["path"])
        try:
            return spec.parse(row["value"] if row["sealed"] is None else self._vault.open(spec.path, row["sealed"]))
        except (WrongKey, Tampered, WrongValueError) as error:
            log.error("setting.unreadable", path=spec.path, fault=type(error).__name__, remedy="set it again")
            return None

    def _row(self, path: str, text: str) -> dict[str, Any]:
        if self._catalogue.get(path).secret:
            return {"path": path, "sealed": self._vault.seal(path, text)}
        return {"path": path, "value": text}

    def _event(self, path: str, text: str | None) -> dict[str, Any]:
        if text is None:
            return {"path": path}
        if self._catalogue.get(path).secret:
            return {"path": path, "fingerprint": self._vault.fingerprint(path, text)}
        return {"path": path, "value": text}

    def _shown(self, path: str, text: str | None) -> str:
        return f"{path}={'(reset)' if text is None else self._vault.fingerprint(path, text)}"


async def _version(connection: AsyncConnection) -> int:
    version: int = (await connection.execute(select(config_state.c.version))).scalar_one()
    return version
