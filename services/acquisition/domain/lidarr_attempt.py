"""What a look at Lidarr means for the attempt that waits for it.

Level-triggered: webhooks and timers only say when to look; what is there decides. Absence from Lidarr's queue proves
nothing, a finished command neither; only tracks with files prove that the album is complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from services.acquisition.domain.attempt import Failure, Progress
from services.acquisition.domain.lidarr import CommandState, HistoryEvent, Look, QueueRow

_STUCK_IMPORTS = frozenset({"importFailed", "importBlocked"})
RETRY_LOOKS = (1, 5, 15)  # intervals between looks, of usually a minute each, until the next attempt
SEARCH_GRACE = timedelta(seconds=10)  # from the end of a search until nothing to see means that nothing was found
_PENDING_PATIENCE = timedelta(minutes=5)  # with an import that Lidarr warns about: usually it finds nothing to import
_ABSENT_PATIENCE = timedelta(minutes=5)  # Lidarr reads its clients once a minute, and anew after a restart


class Presence(Enum):
    """Whether a download is in Lidarr's queue. UNKNOWN is never ABSENT: it changes nothing."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrPlan:
    """What the steps of one Lidarr attempt keep between them.

    `after` is the newest history row from before the attempt: rows behind it, up to `newest`, belong to it. `sign` is
    what Lidarr last showed, `sign_time` when that last changed: without any change for too long the attempt fails.
    `command_id` is our search, 0 where Lidarr fetched the album without one. `own_ids` are the downloads that a search
    made: only those may be thrown away. `absent_since` is when the newest one was first missing from the queue,
    `absent_looks` how often in a row. `tries` counts the attempts that failed before this one,
    `outages` those of Lidarr while no attempt ran.
    """

    album_id: int | None = None
    release_group_mbid: str = ""
    after: int = 0
    newest: int = 0
    command_id: int | None = None
    download_ids: tuple[str, ...] = ()
    own_ids: tuple[str, ...] = ()
    sign: str = ""
    sign_time: datetime | None = None
    looked: datetime | None = None
    absent_since: datetime | None = None
    absent_looks: int = 0
    tries: int = 0
    outages: int = 0

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "album_id": self.album_id,
            "release_group_mbid": self.release_group_mbid,
            "after": self.after,
            "newest": self.newest,
            "command_id": self.command_id,
            "download_ids": list(self.download_ids),
            "own_ids": list(self.own_ids),
            "sign": self.sign,
            "sign_time": None if self.sign_time is None else self.sign_time.isoformat(),
            "looked": None if self.looked is None else self.looked.isoformat(),
            "absent_since": None if self.absent_since is None else self.absent_since.isoformat(),
            "absent_looks": self.absent_looks,
            "tries": self.tries,
            "outages": self.outages,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LidarrPlan":
        """The plan that `to_json` wrote; nothing is an empty plan."""
        time, looked, absent = data.get("sign_time"), data.get("looked"), data.get("absent_since")
        return cls(
            album_id=data.get("album_id"),
            release_group_mbid=data.get("release_group_mbid", ""),
            after=data.get("after", 0),
            newest=data.get("newest", 0),
            command_id=data.get("command_id"),
            download_ids=tuple(data.get("download_ids", ())),
            own_ids=tuple(data.get("own_ids", ())),
            sign=data.get("sign", ""),
            sign_time=None if time is None else datetime.fromisoformat(time),
            looked=None if looked is None else datetime.fromisoformat(looked),
            absent_since=None if absent is None else datetime.fromisoformat(absent),
            absent_looks=data.get("absent_looks", 0),
            tries=data.get("tries", 0),
            outages=data.get("outages", 0),
        )

    def awake(self, at: datetime, *, longest: timedelta) -> "LidarrPlan":
        """With the time since the last look, of which no more than `longest` counts: who was paused saw no idleness."""
        slept = at - self.looked - longest if self.looked is not None else timedelta()
        if slept <= timedelta() or self.sign_time is None:
            return replace(self, looked=at)
        return replace(self, looked=at, sign_time=self.sign_time + slept, absent_since=None, absent_looks=0)

    def seen(self, look: Look, at: datetime) -> "LidarrPlan":
        """With the downloads that a whole look shows, and its time if it shows anything new."""
        if not look.whole:
            return self
        shown = [row.download_id for row in look.history] + [row.download_id for row in look.queue]
        ids = tuple(dict.fromkeys([*self.download_ids, *filter(None, shown)]))
        searched = [row.download_id for row in look.history if row.search and self._searches_are_ours]
        own = tuple(dict.fromkeys([*self.own_ids, *filter(None, searched)]))
        newest = look.history[-1].id if look.history else self.newest
        sign = _sign(look)
        time = at if sign != self.sign else self.sign_time
        seen = replace(self, download_ids=ids, own_ids=own, newest=newest, sign=sign, sign_time=time)
        return seen._observed(presence(look), at)

    @property
    def _searches_are_ours(self) -> bool:
        """Whether what a search brings is; where Lidarr fetched before we came, somebody else had asked for it."""
        return self.command_id != 0 or self.tries > 0

    def _observed(self, queued: Presence, at: datetime) -> "LidarrPlan":
        """With what the queue says of the download; not to know it keeps what was known."""
        match queued:
            case Presence.UNKNOWN:
                return self
            case Presence.PRESENT:
                return replace(self, absent_since=None, absent_looks=0)
            case Presence.ABSENT:
                return replace(self, absent_since=self.absent_since or at, absent_looks=self.absent_looks + 1)

    def bound(self, download_id: str) -> "LidarrPlan":
        """With one more download that belongs to the attempt."""
        return replace(self, download_ids=tuple(dict.fromkeys([*self.download_ids, download_id])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Complete, failed (`again`: another attempt may help), or, with neither, to be waited for.

    Before another attempt the downloads `discard` go, so that Lidarr does not take the same release once more.
    """

    complete: bool = False
    failure: Failure | None = None
    again: bool = False
    discard: tuple[str, ...] = ()


WAIT = Verdict()


def judge(look: Look, plan: LidarrPlan, *, now: datetime, poll: timedelta, idle_timeout: timedelta) -> Verdict:
    """What the look means. `plan` has seen it; `poll` is how often Lidarr is looked at."""
    if look.tracks.complete:
        return Verdict(complete=True)
    if not look.whole:
        return _idle(plan, now, idle_timeout) or WAIT
    stuck = [row for row in look.queue if _is_stuck(row, plan, now)]
    if stuck:
        return _import_failed([text for row in stuck for text in row.messages], _refused(stuck, plan))
    return (
        _ended_download(look)
        or _ended_search(look, plan, now, poll)
        or _vanished(plan, now)
        or _idle(plan, now, idle_timeout)
        or WAIT
    )


def presence(look: Look) -> Presence:
    """Whether the download that was grabbed last is in the queue. Other parts of Lidarr decide when that ends."""
    if look.queue:
        return Presence.PRESENT
    telling = [row for row in look.history if row.event is not HistoryEvent.FILE_IMPORTED]
    followed = telling and telling[-1].event is HistoryEvent.GRABBED and telling[-1].download_id
    return Presence.ABSENT if look.whole and look.clients_up and followed else Presence.UNKNOWN


def progress_of(look: Look, before: Progress) -> Progress:
    """How far the downloads are, never less than before; what is imported counts by the size of its files."""
    imported = sum(file.size for file in look.tracks.files)
    size = sum(row.size for row in look.queue)
    left = sum(row.size_left for row in look.queue)
    return Progress(
        received_bytes=max(size - left, imported, before.received_bytes),
        total_bytes=max(size, imported, before.total_bytes),
        finished_count=look.tracks.present,
        total_count=look.tracks.total,
    )


def client_of(look: Look) -> str:
    """The download client that Lidarr uses; empty while unknown."""
    names = [row.download_client for row in look.queue] + [row.download_client for row in look.history]
    return next(filter(None, names), "")


def _is_stuck(row: QueueRow, plan: LidarrPlan, now: datetime) -> bool:
    """Whether only a person can go on with this import."""
    quiet = plan.sign_time is not None and now - plan.sign_time >= _PENDING_PATIENCE
    return row.state in _STUCK_IMPORTS or (row.state == "importPending" and row.status == "warning" and quiet)


def _refused(stuck: list[QueueRow], plan: LidarrPlan) -> tuple[str, ...]:
    """Our own downloads of which Lidarr tried the import; what it could not assign is for a person to decide."""
    refused = [row.download_id for row in stuck if row.state == "importFailed" and row.download_id in plan.own_ids]
    return tuple(dict.fromkeys(refused)) if len(refused) == len(stuck) else ()


def _ended_download(look: Look) -> Verdict | None:
    """Judge the newest download by its last word in the history; a later grab opens it again."""
    telling = [row for row in look.history if row.event is not HistoryEvent.FILE_IMPORTED]
    last = telling[-1] if telling else None
    if last is None or last.event is HistoryEvent.GRABBED:
        return None
    if last.event is HistoryEvent.DOWNLOAD_FAILED:
        return Verdict(failure=Failure(reason="DOWNLOAD_FAILED", message=_sentence(last.message)), again=True)
    if last.event is HistoryEvent.IMPORT_INCOMPLETE:
        return _import_failed([last.message, *(text for row in look.queue for text in row.messages)])
    if any(_is_open(row) for row in look.queue):
        return None
    return _import_failed([f"Lidarr imported a download, but has {look.tracks.present} of {look.tracks.total} tracks."])


def _is_open(row: QueueRow) -> bool:
    return row.state not in ("imported", "ignored", "downloadFailed")


def _ended_search(look: Look, plan: LidarrPlan, now: datetime, poll: timedelta) -> Verdict | None:
    if not plan.command_id or look.command is CommandState.RUNNING or look.history or look.queue or plan.download_ids:
        return None
    if look.command is CommandState.BROKEN:
        return Verdict(failure=Failure(reason="SEARCH_FAILED", message="Lidarr broke its search off."), again=True)
    if plan.sign_time is None or now - plan.sign_time < min(SEARCH_GRACE, poll):
        return None  # a grab may take a moment to show
    return Verdict(failure=Failure(reason="NO_RELEASE_FOUND", message="Lidarr's search found no release to download."))


def _vanished(plan: LidarrPlan, now: datetime) -> Verdict | None:
    if plan.absent_since is None or plan.absent_looks < 2 or now - plan.absent_since < _ABSENT_PATIENCE:
        return None
    message = "The download is gone from its client, and Lidarr neither imported it nor saw it fail."
    return Verdict(failure=Failure(reason="DOWNLOAD_VANISHED", message=message), again=True)


def _idle(plan: LidarrPlan, now: datetime, timeout: timedelta) -> Verdict | None:
    if plan.sign_time is None or now - plan.sign_time < timeout:
        return None
    return Verdict(failure=Failure(reason="IDLE_TIMEOUT", message=f"Nothing changed in Lidarr for {timeout}."))


def _import_failed(messages: list[str], discard: tuple[str, ...] = ()) -> Verdict:
    """Another release may help where this one can be thrown away; else Lidarr would be stuck with it again."""
    text = "; ".join(dict.fromkeys(filter(None, messages))) or "Lidarr does not say why."
    failure = Failure(reason="IMPORT_FAILED", message=f"Lidarr could not import the download: {text}")
    return Verdict(failure=failure, again=bool(discard), discard=discard)


def _sentence(message: str) -> str:
    return f"The download failed: {message}" if message else "Lidarr saw the download fail."


def _sign(look: Look) -> str:
    rows = ",".join(sorted(f"{row.download_id}:{row.state}:{row.size_left}" for row in look.queue))
    newest = look.history[-1].id if look.history else 0
    return f"{look.command}|{newest}|{look.tracks.present}|{rows}"
