"""Whom Lidarr's facts reach: looked up for many facts at once, then told apart fact by fact."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, Text, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.work.statements import Kind, rows_of
from services.acquisition.domain.fact import FactKind, LidarrFact
from services.acquisition.tables import acquisition, attempt, engine, lidarr_album, lidarr_download

_TEXT: dict[str, Kind] = {"given": Text()}
_NUMBER: dict[str, Kind] = {"given": BigInteger()}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An acquisition with an open Lidarr attempt, and what it is known by."""

    id: str
    album_id: int | None
    mbids: frozenset[str | None]


@dataclass(slots=True)
class Audience:
    """Who waits, which downloads are bound to whom, and who was told which event."""

    waiting: list[_Waiting]
    bound: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def of(self, fact: LidarrFact) -> list[str]:
        """The ids of those who wait for the fact; a download that was sent is theirs from now on."""
        bound = self._bound_to(fact)
        reached = [one.id for one in self.waiting if one.id in bound or _is_about(fact, one)]
        if fact.kind is FactKind.GRABBED and fact.download_id:
            self.bound[fact.download_id].update(reached)
        return reached

    def known(self, fact: LidarrFact) -> set[str]:
        """The ids of those who were told the fact already, or whom its download was for: they may have ended since."""
        bound = self.bound[fact.download_id] if fact.download_id else set[str]()
        return self.told[fact.event_id] | bound

    def _bound_to(self, fact: LidarrFact) -> set[str]:
        """A fact that names nothing (Lidarr does not say what it could not import) concerns all known downloads."""
        if names_nothing(fact):
            return set().union(*self.bound.values())
        return self.bound[fact.download_id] if fact.download_id else set()


class AudienceQuery:
    """Reads who may be reached, in three statements whose text stays the same."""

    def __init__(self, dialect: str) -> None:
        def given(name: str, kind: dict[str, Kind]) -> Select[Any]:
            return rows_of(name, kind, dialect)

        albums, mbids = given("p_albums", _NUMBER), given("p_mbids", _TEXT)
        downloads, events = given("p_downloads", _TEXT), given("p_events", _TEXT)
        bound = select(lidarr_download.c.acquisition, lidarr_download.c.download_id)
        self._some = bound.where(lidarr_download.c.download_id.in_(downloads))
        self._all = bound.where(lidarr_download.c.acquisition.in_(_open_attempts()))
        self._told = select(engine.signal.c.event_id, engine.signal.c.job_id).where(
            engine.signal.c.event_id.in_(events)
        )
        by_album = select(lidarr_album.c.acquisition).where(
            or_(lidarr_album.c.album_id.in_(albums), lidarr_album.c.release_group_mbid.in_(mbids))
        )
        by_download = select(lidarr_download.c.acquisition).where(lidarr_download.c.download_id.in_(downloads))
        self._waiting = _waiting(
            or_(
                acquisition.c.id.in_(by_album),
                acquisition.c.id.in_(by_download),
                acquisition.c.release_group_mbid.in_(mbids),
            )
        )
        self._waiting_for_anything = _waiting(acquisition.c.id.in_(select(lidarr_download.c.acquisition)))

    async def read(self, connection: AsyncConnection, facts: Sequence[LidarrFact]) -> Audience:
        """Everybody whom one of the facts may reach."""
        keys = {
            "p_albums": _listed(number for fact in facts for number in fact.album_ids),
            "p_mbids": _listed(mbid for fact in facts for mbid in fact.release_group_mbids),
            "p_downloads": _listed(fact.download_id for fact in facts if fact.download_id),
            "p_events": _listed(fact.event_id for fact in facts),
        }
        found = {row.id: row for row in await connection.execute(self._waiting, keys)}
        bound = [*await connection.execute(self._some, keys)]
        if any(map(names_nothing, facts)):
            found |= {row.id: row for row in await connection.execute(self._waiting_for_anything)}
            bound += await connection.execute(self._all)
        audience = Audience([_Waiting(row.id, row.album_id, frozenset(row[2:])) for _, row in sorted(found.items())])
        for acquisition_id, download_id in bound:
            audience.bound[download_id].add(acquisition_id)
        for event_id, acquisition_id in await connection.execute(self._told, keys):
            audience.told[event_id].add(acquisition_id)
        return audience


def names_nothing(fact: LidarrFact) -> bool:
    """Whether the fact says neither which album nor which download."""
    return not (fact.download_id or fact.album_ids or fact.release_group_mbids)


def _is_about(fact: LidarrFact, one: _Waiting) -> bool:
    return one.album_id in fact.album_ids or not one.mbids.isdisjoint(fact.release_group_mbids)


def _open_attempts() -> Select[Any]:
    return select(attempt.c.acquisition).where(attempt.c.state == "RUNNING", attempt.c.source == "LIDARR")


def _waiting(who: ColumnElement[bool]) -> Select[Any]:
    album = lidarr_album.c
    return (
        select(acquisition.c.id, album.album_id, album.release_group_mbid, acquisition.c.release_group_mbid)
        .join_from(acquisition, engine.work, engine.work.c.id == acquisition.c.id)
        .outerjoin(lidarr_album, album.acquisition == acquisition.c.id)
        .where(engine.unfinished, acquisition.c.id.in_(_open_attempts()), who)
    )


def _listed(values: Iterable[object]) -> str:
    return orjson.dumps([[value] for value in dict.fromkeys(values)]).decode()
