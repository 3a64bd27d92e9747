"""Our webhook as Lidarr keeps it among its connections: which entry is ours, what is wrong with it, how it should be.

Ours is the entry of our exact name whose URL ends as ours do: another address of us is repaired, never doubled. Any
other entry is a person's, or another program's, and is not touched, whatever it is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NAME = "Lockgroove"
USERNAME = "lockgroove"
IMPLEMENTATION = "Webhook"
PATH = "/api/webhooks/lidarr"
SWITCHES = (
    *("onGrab", "onReleaseImport", "onUpgrade", "onDownloadFailure", "onImportFailure", "onRename", "onTrackRetag"),
    *("onArtistAdd", "onArtistDelete", "onAlbumDelete", "onHealthIssue", "onHealthRestored", "onApplicationUpdate"),
)
_POST = 1  # in Lidarr's enum of methods

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How our entry should be."""

    url: str
    password: str = field(repr=False)

    def fields(self) -> Json:
        """The settings of the webhook; a secret in a header could be read by everybody with a key of Lidarr's."""
        return {"url": self.url, "method": _POST, "username": USERNAME, "password": self.password, "headers": []}


def webhook_url(public_url: str) -> str:
    """Where Lidarr delivers: the exact URL, for a redirect would lose the body."""
    return public_url.rstrip("/") + PATH


def find_own(entries: Sequence[Json]) -> Json | None:
    """Our entry, whatever state it is in."""
    named = [entry for entry in entries if entry.get("name") == NAME and entry.get("implementation") == IMPLEMENTATION]
    return next((entry for entry in named if "id" in entry and url_of(entry).endswith(PATH)), None)


def find_name_taken(entries: Sequence[Json]) -> Json | None:
    """An entry that is not ours and keeps us from having our name: to Lidarr, case makes no difference."""
    own = find_own(entries)
    taken = (entry for entry in entries if str(entry.get("name", "")).lower() == NAME.lower())
    return None if own is not None else next(taken, None)


def find_by_hand(entries: Sequence[Json], url: str) -> Json | None:
    """An entry that a person made under another name and that delivers to us already."""
    return next((entry for entry in entries if url_of(entry) == url and entry.get("name") != NAME), None)


def faults(entry: Json, wanted: Wanted) -> list[str]:
    """What is wrong with our entry, in words; the password cannot be seen."""
    found = []
    if url_of(entry) != wanted.url:
        found.append(f"it delivers to {url_of(entry)} instead of {wanted.url}")
    if off := [switch for switch in SWITCHES if entry.get(switch) is False]:
        found.append(f"switched off: {', '.join(off)}")
    if entry.get("tags"):
        found.append("its tags keep events of most artists away")
    if _setting(entry, "method") not in (None, _POST, str(_POST), "post"):
        found.append("it does not send POST")
    if _setting(entry, "username") != USERNAME or _setting(entry, "headers"):
        found.append("its credential is not the one that was made for it")
    return found


def repaired(entry: Json, wanted: Wanted) -> Json:
    """The entry as it should be; what is not ours to decide stays as it is."""
    switches = {switch: True for switch in SWITCHES if switch in entry}
    return entry | switches | {"tags": [], "fields": _filled(_fields(entry), wanted)}


def new_entry(schema: Sequence[Json], wanted: Wanted) -> Json | None:
    """A new entry, after what Lidarr says that its webhooks look like; None where it has none."""
    template = next((each for each in schema if each.get("implementation") == IMPLEMENTATION), None)
    if template is None:
        return None
    entry = {name: value for name, value in template.items() if name not in ("id", "presets")}
    return repaired(entry, wanted) | {"name": NAME}


def is_unhealthy(health: Sequence[Json], entries: Sequence[Json], own: Json) -> bool:
    """Whether Lidarr drops our events now. Its words may be in any language, but they name who is meant, or nobody."""
    messages = [str(each.get("message", "")) for each in health if each.get("source") == "NotificationStatusCheck"]
    names = [str(entry["name"]) for entry in entries if entry.get("name")]
    return any(str(own["name"]) in message or not any(name in message for name in names) for message in messages)


def url_of(entry: Json) -> str:
    """Where an entry delivers; empty for another kind of connection."""
    return str(_setting(entry, "url") or "")


def _setting(entry: Json, name: str) -> Any:
    return next((each.get("value") for each in _fields(entry) if each.get("name") == name), None)


def _fields(entry: Json) -> list[Json]:
    fields = entry.get("fields")
    return [each for each in fields if isinstance(each, dict)] if isinstance(fields, list) else []


def _filled(fields: Sequence[Json], wanted: Wanted) -> list[Json]:
    values = wanted.fields()
    kept = [each | {"value": values[each["name"]]} if each.get("name") in values else each for each in fields]
    missing = values.keys() - {each.get("name") for each in fields}
    return kept + [{"name": name, "value": values[name]} for name in sorted(missing)]
