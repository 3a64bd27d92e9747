"""The SQL of encryption: the wish for new data keys, and what services told."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.telemetry.logger import get_logger
from services.config.domain.encryption import Encryption, Keyring, KeyringState
from services.config.tables import config_state, data_key_request, keyring_report

log = get_logger()

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class SqlEncryptionStore:
    """Encryption of the suite, in the database of this service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def epoch(self) -> int:
        """The newest epoch that somebody asked for; 0 before anybody did."""
        async with self._database.reading() as connection:
            epoch: int = (await connection.execute(select(config_state.c.data_key_epoch))).scalar_one()
        return epoch

    async def load(self) -> Encryption:
        """How it stands."""
        newest = select(data_key_request).order_by(data_key_request.c.epoch.desc()).limit(1)
        async with self._database.reading() as connection:
            request = (await connection.execute(newest)).first()
            reports = (await connection.execute(select(keyring_report).order_by(keyring_report.c.service))).all()
        return Encryption(
            epoch=request.epoch if request else 0,
            actor=request.actor if request else "",
            requested_at=request.requested_at if request else None,
            keyrings=[_keyring(row) for row in reports],
        )

    async def ask(self, request_id: str | None, *, actor: str) -> bool:
        """Grows the epoch, unless this request did so before; returns whether it grew."""
        same = select(data_key_request.c.epoch).where(data_key_request.c.request_id == request_id)
        grown = update(config_state).values(
            version=config_state.c.version + 1, data_key_epoch=config_state.c.data_key_epoch + 1
        )
        async with self._database.writing() as connection:
            await connection.execute(select(config_state.c.id).with_for_update())  # one request after the other
            if request_id is not None and await connection.scalar(same) is not None:
                return False
            epoch = (await connection.execute(grown.returning(config_state.c.data_key_epoch))).scalar_one()
            asked = {"epoch": epoch, "request_id": request_id, "actor": actor, "requested_at": now_ms()}
            await connection.execute(insert(data_key_request).values(asked))
        log.info("data_keys.asked_for", epoch=epoch, actor=actor)
        return True

    async def keep(self, keyring: Keyring) -> None:
        """Keeps what a service told, in place of what it told before."""
        values = asdict(keyring) | {"reported_at": now_ms()}
        told = {name: value for name, value in values.items() if name != "service"}
        new = _INSERTS[self._database.dialect](keyring_report).values(values)
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_update(index_elements=[keyring_report.c.service], set_=told))


def _keyring(row: Row[Any]) -> Keyring:
    return Keyring(**row._asdict() | {"state": KeyringState(row.state)})
