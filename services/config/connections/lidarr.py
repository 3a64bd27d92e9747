"""Tries Lidarr as the suite uses it, and looks up what it has to choose from."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from libs.clock import Clock
from services.config.connections.answer import Answer, Ask, Json
from services.config.connections.api import Api, Version
from services.config.domain.connections import (
    CheckFailedError,
    Findings,
    LidarrChoices,
    Profile,
    RootFolder,
)
from services.config.domain.diagnoses import Diagnosis

FIRST_VERSION = (2, 0)  # measured with 2.14; what came before 2 was never looked at
MOST_SKEW = timedelta(minutes=5)
_ID = 2**31

# Lidarr's own checks of its health that keep albums from coming (`source` in its API), in our words.
_ILLS = {
    "DownloadClientCheck": "its download client cannot be reached, or there is none",
    "DownloadClientStatusCheck": "its download clients are off after failures",
    "IndexerStatusCheck": "its indexers are off after failures",
    "IndexerLongTermStatusCheck": "its indexers have been failing for hours",
    "IndexerSearchCheck": "it has no indexer to search with",
    "RemotePathMappingCheck": "it does not see where its download client puts files",
    "RootFolderCheck": "a root folder of it is missing",
    "NotificationStatusCheck": "it drops webhooks after failures",
}


class LidarrProbe:
    """Tries Lidarr."""

    def __init__(self, ask: Ask, *, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock

    async def test(self, values: Mapping[str, str], findings: Findings) -> None:
        """Is it there, is it Lidarr and new enough, does it take our key, has it what is set?"""
        if values.get("lidarr.enabled") == "false":
            raise CheckFailedError(Diagnosis.DISABLED, subject="enabled")
        api = _api(self._ask, values)
        answer = await api.get("/api/v1/system/status")
        findings.latency = answer.took
        status = await self._identity(api, answer)
        findings.good("address", "Lidarr answers, and accepts lidarr.apiKey.")
        _check_version(findings, status)
        self._check_clock(findings, answer)
        choices = await _choices(api)
        _check_root_folders(findings, values, choices)
        _check_profiles(findings, values, choices)
        _check_health(findings, (await _listed(api, "/health")).rows())

    async def look_up(self, values: Mapping[str, str]) -> LidarrChoices:
        """What it has to choose from. Raises CheckFailedError."""
        api = _api(self._ask, values)
        await self._identity(api, await api.get("/api/v1/system/status"))
        return await _choices(api)

    async def _identity(self, api: Api, answer: Answer) -> Json:
        """What it says of itself; raises CheckFailedError where it is not Lidarr, or does not want us."""
        if answer.status == 404:
            await _name_sibling(api)
        status = (await api.expect(answer)).document()
        name = status.get("appName")
        if name != "Lidarr":
            raise _other_program(name)
        return status

    def _check_clock(self, findings: Findings, answer: Answer) -> None:
        theirs = _date(answer)
        if theirs is not None and abs(theirs - self._clock.now()) > MOST_SKEW:
            minutes = abs(theirs - self._clock.now()) // timedelta(minutes=1)
            findings.wrong("clock", Diagnosis.CLOCK_SKEW, f"The clock of Lidarr is {minutes} minutes from ours.")


def _api(ask: Ask, values: Mapping[str, str]) -> Api:
    url, key = values.get("lidarr.url"), values.get("lidarr.api_key")
    if not (url and key):
        raise CheckFailedError(Diagnosis.NOT_CONFIGURED, subject="settings")
    return Api(ask, url, headers={"X-Api-Key": key}, alive="/ping", bases=("", "/lidarr"), setting="lidarr.url")


async def _name_sibling(api: Api) -> None:
    """Radarr and Sonarr take the same keys, but have version 3 of the API; raises CheckFailedError for them."""
    answer = await api.get("/api/v3/system/status")
    if answer.status == 200 and not answer.is_page and isinstance(name := answer.document().get("appName"), str):
        raise _other_program(name)


def _other_program(name: Any) -> CheckFailedError:
    known = isinstance(name, str) and name in {"Radarr", "Sonarr", "Readarr", "Prowlarr", "Whisparr"}
    what = f"{name} answers at lidarr.url." if known else "What answers at lidarr.url does not call itself Lidarr."
    return CheckFailedError(Diagnosis.WRONG_PROGRAM, what)


def _check_version(findings: Findings, status: Json) -> None:
    version = Version.find(status.get("version"))
    if version is None:
        findings.wrong("version", Diagnosis.BAD_ANSWER, "Lidarr does not tell its version.")
        return
    findings.version = version.text
    if version.number < FIRST_VERSION:
        wanted = ".".join(map(str, FIRST_VERSION))
        advice = f"Update Lidarr to {wanted} or later."
        findings.wrong("version", Diagnosis.VERSION_TOO_OLD, f"Lidarr {version.text} is too old.", advice)
    else:
        findings.good("version", f"It is Lidarr {version.text}.")


def _check_root_folders(findings: Findings, values: Mapping[str, str], choices: LidarrChoices) -> None:
    wanted, folders = values.get("lidarr.root_folder"), choices.root_folders
    chosen = [folder for folder in folders if wanted is None or _plain(folder.path) == _plain(wanted)]
    if not folders:
        findings.wrong("rootFolder", Diagnosis.NO_ROOT_FOLDER)
    elif not chosen:
        findings.wrong(
            "rootFolder",
            Diagnosis.CHOICE_MISSING,
            "Lidarr has no root folder like lidarr.rootFolder.",
            f"Set lidarr.rootFolder to one of {', '.join(folder.path for folder in folders)}.",
        )
    elif not any(folder.accessible for folder in chosen):
        advice = "Mount the folder where Lidarr runs, or choose another one with lidarr.rootFolder."
        findings.wrong("rootFolder", Diagnosis.FOLDER_MISSING, "Lidarr cannot enter its root folder.", advice)
    else:
        findings.good("rootFolder", "Lidarr can enter its root folder.")


def _check_profiles(findings: Findings, values: Mapping[str, str], choices: LidarrChoices) -> None:
    kinds = [
        ("quality", "qualityProfile", choices.quality_profiles),
        ("metadata", "metadataProfile", choices.metadata_profiles),
    ]
    for kind, subject, profiles in kinds:
        wanted = values.get(f"lidarr.{kind}_profile_id")
        if not profiles:
            findings.wrong(subject, Diagnosis.CHOICE_MISSING, f"Lidarr has no {kind} profile.", "Add one in Lidarr.")
        elif wanted is not None and int(wanted) not in {profile.id for profile in profiles}:
            listed = ", ".join(f"{profile.id} ({profile.title})" for profile in profiles)
            setting = f"lidarr.{subject}Id"
            findings.wrong(
                subject,
                Diagnosis.CHOICE_MISSING,
                f"Lidarr has no {kind} profile with the id in {setting}.",
                f"Set {setting} to one of {listed}.",
            )
        else:
            findings.good(subject, f"Lidarr has a {kind} profile for new artists.")


def _check_health(findings: Findings, rows: list[Json]) -> None:
    """Only errors count: warnings come and go, and most are about what the suite does not need."""
    ills = [(_ILLS[source], row.get("type")) for row in rows if (source := str(row.get("source"))) in _ILLS]
    grave = [ill for ill, kind in ills if kind == "error"]
    if grave:
        advice = "See in Lidarr under System, Status."
        findings.wrong("health", Diagnosis.NOT_CONNECTED, f"Lidarr says of itself: {'; '.join(grave)}.", advice)
    else:
        mild = "; ".join(ill for ill, _ in ills)
        findings.good("health", f"Lidarr warns: {mild}." if mild else "Lidarr has no complaint that matters here.")


async def _choices(api: Api) -> LidarrChoices:
    folders, qualities, metadata = [
        (await _listed(api, path)).rows() for path in ("/rootfolder", "/qualityprofile", "/metadataprofile")
    ]
    return LidarrChoices(
        quality_profiles=tuple(map(_profile, qualities)),
        metadata_profiles=tuple(map(_profile, metadata)),
        root_folders=tuple(map(_root_folder, folders)),
    )


async def _listed(api: Api, path: str) -> Answer:
    return await api.expect(await api.get(f"/api/v1{path}"))


def _profile(row: Json) -> Profile:
    return Profile(id=_number(row, "id"), title=_text(row, "name"))


def _root_folder(row: Json) -> RootFolder:
    return RootFolder(
        path=_text(row, "path"),
        title=_text(row, "name"),
        accessible=row.get("accessible") is True,
        free_bytes=_number(row, "freeSpace", most=2**63),
        quality_profile_id=_number(row, "defaultQualityProfileId"),
        metadata_profile_id=_number(row, "defaultMetadataProfileId"),
    )


def _number(row: Json, name: str, *, most: int = _ID) -> int:
    value = row.get(name)
    return value if isinstance(value, int) and 0 <= value < most else 0


def _text(row: Json, name: str) -> str:
    """A name or path as people gave it, for people to choose from."""
    value = row.get(name)
    return "".join(filter(str.isprintable, value))[:1000] if isinstance(value, str) else ""


def _plain(path: str) -> str:
    return path.rstrip("/\\")


def _date(answer: Answer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else None
