"""Kima's settings, through the API of the running suite: checked, sealed and written down there as any other change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.cli.importing.report import Report, Unusable
from deploy.cli.importing.rows import Row
from deploy.cli.importing.secrets import KimaKey, UnusableKimaKey, WrongKey, is_sealed
from deploy.cli.resources.values import nested
from deploy.cli.suite import Document, Refused, Suite

TABLE = "SystemSettings"
PART = "settings"

_PATH = "/api/v1/settings"
_BAD_REQUEST = 400
_TEXTS = {
    "lidarrUrl": "lidarr.url",
    "soulseekUsername": "soulseek.username",
    "spotifyClientId": "spotify.clientId",
    "musicPath": "storage.musicPath",
    "downloadPath": "storage.downloadPath",
}
_CHOICES = {"downloadSource": "acquisition.source", "primaryFailureFallback": "acquisition.fallback"}
_BOOLEANS = {
    "lidarrEnabled": "lidarr.enabled",
    "soulseekEnabled": "soulseek.enabled",
    "lastfmEnabled": "lastfm.enabled",
}
_NUMBERS = {
    "lidarrQualityProfileId": "lidarr.qualityProfileId",
    "lidarrMetadataProfileId": "lidarr.metadataProfileId",
    "soulseekConcurrentDownloads": "soulseek.concurrency",
}
_SECRETS = {
    "lidarrApiKey": "lidarr.apiKey",
    "lidarrWebhookSecret": "lidarr.webhookSecret",
    "soulseekPassword": "soulseek.password",
    "lastfmApiKey": "lastfm.apiKey",
    "lastfmApiSecret": "lastfm.apiSecret",
    "spotifyClientSecret": "spotify.clientSecret",
}
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_PATHS = frozenset({"musicPath", "downloadPath"})
_NOT_SETTINGS = frozenset({"id", "createdAt", "updatedAt"})
_CHOSEN_HERE = frozenset({"DATABASE", "ENVIRONMENT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A value for a setting, and the column that it comes from."""

    column: str
    path: str
    value: object


def wishes(values: Mapping[str, str | None], key: KimaKey | None, report: Report) -> list[Wish]:
    """What a row of Kima's settings asks for. Raises UnusableKimaKey where no sealed value opens."""
    row = Row(values, lambda column, why: report.remark(PART, column, column, why))
    _require_key(row, key)
    found = []
    for column in sorted(values.keys() - _NOT_SETTINGS):
        if not row.text(column):
            continue
        report.of(PART).read += 1
        try:
            found.append(_wish(row, column, key))
        except Unusable as reason:
            report.skip(PART, column, reason)
    return found


def apply_settings(suite: Suite, wanted: list[Wish], report: Report, *, overwrite: bool) -> None:
    """Sets what nobody has chosen here, or with `overwrite` everything; what the suite refuses is told."""
    settings = suite.get(_PATH)
    sources = settings.get("sources") or {}
    news = []
    for wish in wanted:
        source = sources.get(wish.path, "")
        if source in _CHOSEN_HERE and not overwrite:
            report.of(PART).there_already += 1
            report.remark(PART, wish.column, wish.column, f"left as it is here: {wish.path} is set ({source})")
        else:
            news.append(wish)
    usable = _usable(suite, news, report)
    if usable and not report.dry_run:  # with the etag, what somebody sets meanwhile is not overwritten
        suite.patch(_PATH, _body(usable) | {"etag": settings["etag"]})
    report.of(PART).imported += len(usable)


def _usable(suite: Suite, wanted: list[Wish], report: Report) -> list[Wish]:
    """Those that the suite would take, asked for together, else one by one."""
    if not wanted:
        return []
    try:
        suite.patch(_PATH, _body(wanted), validateOnly="true")
        return wanted
    except Refused as refused:
        if refused.status != _BAD_REQUEST:
            raise
        if len(wanted) == 1:
            report.skip(PART, wanted[0].column, Unusable(wanted[0].column, f"refused: {refused.message}"))
            return []
    middle = len(wanted) // 2
    return _usable(suite, wanted[:middle], report) + _usable(suite, wanted[middle:], report)


def _body(wanted: list[Wish]) -> Document:
    return nested({wish.path: wish.value for wish in wanted})


def _require_key(row: Row, key: KimaKey | None) -> None:
    """All or nothing is the mark of a wrong key; single values may be older than the key."""
    sealed = [text for column in _SECRETS if is_sealed(text := row.text(column))]
    if sealed and key is None:
        raise UnusableKimaKey(
            "Kima's secrets are encrypted: set SETTINGS_ENCRYPTION_KEY as it is in Kima's environment, say --key-file, "
            "or leave the settings out (--jobs --events --batches)"
        )
    if sealed and key is not None and not any(_opens(key, text) for text in sealed):
        raise UnusableKimaKey("SETTINGS_ENCRYPTION_KEY opens none of Kima's secrets: is it Kima's?")


def _opens(key: KimaKey, text: str) -> bool:
    try:
        key.open(text)
    except WrongKey:
        return False
    return True


def _wish(row: Row, column: str, key: KimaKey | None) -> Wish:
    if path := _SECRETS.get(column):
        return Wish(column=column, path=path, value=_secret(row, column, key))
    if path := _TEXTS.get(column):
        if column in _PATHS:
            row.tell(column, "is a path as Kima sees it: check that it is the same here")
        return Wish(column=column, path=path, value=row.text(column))
    if path := _CHOICES.get(column):
        return Wish(column=column, path=path, value=row.text(column).upper())
    if path := _BOOLEANS.get(column):
        return Wish(column=column, path=path, value=row.boolean(column))
    if path := _NUMBERS.get(column):
        return Wish(column=column, path=path, value=_number(row, column))
    raise Unusable(column, "there is no such setting in Lockgroove")


def _number(row: Row, column: str) -> int:
    text = row.text(column)
    if not _NUMBER.fullmatch(text):
        raise Unusable(column, "is no whole number that can be a setting")
    return int(text)


def _secret(row: Row, column: str, key: KimaKey | None) -> str:
    text = row.text(column)
    if not is_sealed(text):
        if ":" in text:  # Kima takes it for encrypted, so it may be a damaged secret
            raise Unusable(column, "is neither encrypted as Kima does nor plain text: set it by hand")
        row.tell(column, "was stored in plain text in Kima: consider changing it")
        return text
    try:
        assert key is not None, "_require_key has seen to it"
        return key.open(text)
    except WrongKey:
        raise Unusable(column, "is encrypted with another key: set it by hand") from None
