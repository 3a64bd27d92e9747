"""What a look at Lidarr means for the attempt that waits for it.

Level-triggered: webhooks and timers only say when to look; what is there decides. Absence from Lidarr's queue proves
nothing, a finished command neither; only tracks with files prove that the album is complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.acquisition.domain.attempt import Failure, Progress
from services.acquisition.domain.lidarr import CommandState, HistoryEvent, Look, QueueRow

_STUCK_IMPORTS = frozenset({"importFailed", "importBlocked"})
SEARCH_GRACE = timedelta(seconds=10)  # from the end of a search until nothing to see means that nothing was found
_PENDING_PATIENCE = timedelta(minutes=5)  # with an import that Lidarr warns about: usually it finds nothing to import


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrPlan:
    """What the steps of one Lidarr attempt keep between them.

    `after` is the newest history row from before the attempt: rows behind it, up to `newest`, belong to it. `sign` is
    what Lidarr last showed, `sign_time` when that last changed: without any change for too long the attempt fails.
    `command_id` is our search, 0 where Lidarr fetched the album without one.
    """

    album_id: int | None = None
    release_group_mbid: str = ""
    after: int = 0
    newest: int = 0
    command_id: int | None = None
    download_ids: tuple[str, ...] = ()
    sign: str = ""
    sign_time: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "album_id": self.album_id,
            "release_group_mbid": self.release_group_mbid,
            "after": self.after,
            "newest": self.newest,
            "command_id": self.command_id,
            "download_ids": list(self.download_ids),
            "sign": self.sign,
            "sign_time": None if self.sign_time is None else self.sign_time.isoformat(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LidarrPlan":
        """The plan that `to_json` wrote; nothing is an empty plan."""
        time = data.get("sign_time")
        return cls(
            album_id=data.get("album_id"),
            release_group_mbid=data.get("release_group_mbid", ""),
            after=data.get("after", 0),
            newest=data.get("newest", 0),
            command_id=data.get("command_id"),
            download_ids=tuple(data.get("download_ids", ())),
            sign=data.get("sign", ""),
            sign_time=None if time is None else datetime.fromisoformat(time),
        )

    def seen(self, look: Look, at: datetime) -> "LidarrPlan":
        """With the downloads that a whole look shows, and its time if it shows anything new."""
        if not look.whole:
            return self
        shown = [row.download_id for row in look.history] + [row.download_id for row in look.queue]
        ids = tuple(dict.fromkeys([*self.download_ids, *filter(None, shown)]))
        newest = look.history[-1].id if look.history else self.newest
        sign = _sign(look)
        time = at if sign != self.sign else self.sign_time
        return replace(self, download_ids=ids, newest=newest, sign=sign, sign_time=time)

    def bound(self, download_id: str) -> "LidarrPlan":
        """With one more download that belongs to the attempt."""
        return replace(self, download_ids=tuple(dict.fromkeys([*self.download_ids, download_id])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Complete, failed (`again`: another attempt may help), or, with neither, to be waited for."""

    complete: bool = False
    failure: Failure | None = None
    again: bool = False


WAIT = Verdict()


def judge(look: Look, plan: LidarrPlan, *, now: datetime, poll: timedelta, idle_timeout: timedelta) -> Verdict:
    """What the look means. `plan` has seen it; `poll` is how often Lidarr is looked at."""
    if look.tracks.complete:
        return Verdict(complete=True)
    if not look.whole:
        return _idle(plan, now, idle_timeout) or WAIT
    stuck = [row for row in look.queue if _is_stuck(row, plan, now)]
    if stuck:
        return _import_failed([text for row in stuck for text in row.messages])
    return _ended_download(look) or _ended_search(look, plan, now, poll) or _idle(plan, now, idle_timeout) or WAIT


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


def _idle(plan: LidarrPlan, now: datetime, timeout: timedelta) -> Verdict | None:
    if plan.sign_time is None or now - plan.sign_time < timeout:
        return None
    return Verdict(failure=Failure(reason="IDLE_TIMEOUT", message=f"Nothing changed in Lidarr for {timeout}."))


def _import_failed(messages: list[str]) -> Verdict:
    text = "; ".join(dict.fromkeys(filter(None, messages))) or "Lidarr does not say why."
    return Verdict(failure=Failure(reason="IMPORT_FAILED", message=f"Lidarr could not import the download: {text}"))


def _sentence(message: str) -> str:
    return f"The download failed: {message}" if message else "Lidarr saw the download fail."


def _sign(look: Look) -> str:
    rows = ",".join(f"{row.download_id}:{row.state}:{row.size_left}" for row in look.queue)
    newest = look.history[-1].id if look.history else 0
    return f"{look.command}|{newest}|{look.tracks.present}|{rows}"
