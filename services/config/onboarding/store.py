"""The one onboarding in SQL: read, saved if nobody else did, and claimed by whoever works on it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from services.config.domain.onboarding import (
    Album,
    Onboarding,
    OnboardingChanged,
    OnboardingState,
    OnboardingUnreadable,
    Step,
    StepKind,
    StepState,
)
from services.config.tables import onboarding

_ONLY = 1  # the id of the one row


class SqlOnboarding:
    """The onboarding of one installation, on SQLite and PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self) -> Onboarding:
        """As it is; one that nobody began has version 0. Raises OnboardingUnreadable."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(onboarding))).mappings().first()
        return Onboarding() if row is None else _onboarding(row)

    async def save(self, changed: Onboarding, *, claimed: timedelta | None = None) -> Onboarding:
        """Keeps it if `changed.version` is still the current one, which grows; free for the next look unless `claimed`.

        Raises OnboardingChanged.
        """
        until = None if claimed is None else now_ms() + duration_ms(claimed)
        values = {**_values(changed), "version": changed.version + 1, "claimed_until": until}
        try:
            async with self._database.writing() as connection:
                if changed.version == 0:
                    await connection.execute(insert(onboarding).values(id=_ONLY, **values))
                else:
                    same = update(onboarding).where(onboarding.c.version == changed.version)
                    if not (await connection.execute(same.values(**values))).rowcount:
                        raise OnboardingChanged("the onboarding changed meanwhile: read it again")
        except IntegrityError as error:
            raise OnboardingChanged("somebody else began the onboarding meanwhile: read it again") from error
        return await self.get()

    async def claim(self, ttl: timedelta) -> Onboarding | None:
        """The onboarding, if it runs and nobody works on it; ours to look at for `ttl`, or until it changes.

        Where it does not run, which is nearly always, nothing is written and no writer waits.
        """
        if (await self.get()).state is not OnboardingState.RUNNING:
            return None
        is_free = or_(onboarding.c.claimed_until.is_(None), onboarding.c.claimed_until < now_ms())
        claimed = (
            update(onboarding)
            .where(onboarding.c.state == OnboardingState.RUNNING, is_free)
            .values(claimed_until=now_ms() + duration_ms(ttl))
        )
        async with self._database.writing() as connection:
            if not (await connection.execute(claimed)).rowcount:
                return None
            row = (await connection.execute(select(onboarding))).mappings().one()
        return _onboarding(row)

    async def free(self, seen: Onboarding) -> None:
        """Lets others look, where a look changed nothing."""
        ours = update(onboarding).where(onboarding.c.version == seen.version)
        async with self._database.writing() as connection:
            await connection.execute(ours.values(claimed_until=None))


def _values(of: Onboarding) -> dict[str, Any]:
    return {
        "state": of.state,
        "progress": of.progress,
        "steps": [_step_row(step) for step in of.steps],
        "album": None if of.album is None else asdict(of.album),
        "acquisition": of.acquisition,
        "request_id": of.request_id,
        "actor": of.actor,
        "started_at": of.started_at,
        "ended_at": of.ended_at,
        "updated_at": of.updated_at,
    }


def _step_row(step: Step) -> dict[str, Any]:
    times = {name: moment and moment.isoformat() for name, moment in _times(step).items()}
    return {**asdict(step), **times}


def _times(step: Step) -> dict[str, datetime | None]:
    return {"started_at": step.started_at, "ended_at": step.ended_at, "troubled_since": step.troubled_since}


def _onboarding(row: Mapping[Any, Any]) -> Onboarding:
    try:
        return _read(row)
    except (KeyError, TypeError, ValueError) as error:
        raise OnboardingUnreadable("the onboarding was kept by another release: go on with that one") from error


def _read(row: Mapping[Any, Any]) -> Onboarding:
    plain = ("progress", "acquisition", "request_id", "actor", "started_at", "ended_at", "updated_at", "version")
    return Onboarding(
        state=OnboardingState(row["state"]),
        steps=tuple(_step(each) for each in row["steps"]),
        album=None if row["album"] is None else Album(**row["album"]),
        **{name: row[name] for name in plain},
    )


def _step(kept: Mapping[str, Any]) -> Step:
    return Step(
        kind=StepKind(kept["kind"]),
        state=StepState(kept["state"]),
        message=kept["message"],
        advice=kept["advice"],
        reason=kept["reason"],
        started_at=_moment(kept["started_at"]),
        ended_at=_moment(kept["ended_at"]),
        troubled_since=_moment(kept.get("troubled_since")),
    )


def _moment(kept: str | None) -> datetime | None:
    return None if kept is None else datetime.fromisoformat(kept)
