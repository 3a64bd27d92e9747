"""Diagnoses of connections: what can be wrong with one, in words that a person can act on."""

from dataclasses import dataclass
from enum import StrEnum


class Diagnosis(StrEnum):
    """What was found."""

    OK = "OK"
    NOT_CONFIGURED = "NOT_CONFIGURED"
    DISABLED = "DISABLED"
    DNS = "DNS"
    REFUSED = "REFUSED"
    TIMEOUT = "TIMEOUT"
    TLS = "TLS"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    WRONG_URL_BASE = "WRONG_URL_BASE"
    WRONG_PROGRAM = "WRONG_PROGRAM"
    VERSION_TOO_OLD = "VERSION_TOO_OLD"
    RATE_LIMITED = "RATE_LIMITED"
    SERVER_ERROR = "SERVER_ERROR"
    BAD_ANSWER = "BAD_ANSWER"
    NO_ROOT_FOLDER = "NO_ROOT_FOLDER"
    FOLDER_MISSING = "FOLDER_MISSING"
    FOLDER_NOT_WRITABLE = "FOLDER_NOT_WRITABLE"
    DISK_FULL = "DISK_FULL"
    CHOICE_MISSING = "CHOICE_MISSING"
    IN_USE = "IN_USE"
    NOT_CONNECTED = "NOT_CONNECTED"
    SUITE_UNAVAILABLE = "SUITE_UNAVAILABLE"
    CLOCK_SKEW = "CLOCK_SKEW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What texts call a connection: the program, the setting with its address, and the one with its credential."""

    program: str
    address: str = ""
    key: str = ""
    where: str = ""


NAMES = {
    "lidarr": Names(
        program="Lidarr", address="lidarr.url", key="lidarr.apiKey", where=" It is in Lidarr under Settings, General."
    ),
    "slskd": Names(
        program="slskd",
        address="slskd.url",
        key="slskd.apiKey",
        where=" It is in slskd's configuration, under web.authentication.api_keys.",
    ),
    "soulseek": Names(program="the Soulseek server", address="soulseek.server", key="soulseek.password"),
    "lastfm": Names(
        program="Last.fm",
        address="lastfm.url",
        key="lastfm.apiKey",
        where=" It is shown at https://www.last.fm/api/accounts.",
    ),
    "musicbrainz": Names(program="MusicBrainz", address="musicbrainz.url", key="musicbrainz.contact"),
    "spotify": Names(program="Spotify", address="spotify.accountsUrl", key="spotify.clientId"),
    "storage": Names(program="the storage", address="storage.musicPath"),
}
"""Every connection that can be tried."""

# What was found, and what to do about it, where whoever finds it has no better words.
_WORDS: dict[Diagnosis, tuple[str, str]] = {
    Diagnosis.OK: ("{program} works.", ""),
    Diagnosis.NOT_CONFIGURED: ("{address} or {key} is not set.", "Set {address} and {key}."),
    Diagnosis.DISABLED: ("It is turned off.", "Turn it on by its setting `enabled`, or send that with the test."),
    Diagnosis.DNS: (
        "The name of the host in {address} is not known.",
        "Correct the host in {address}. In containers that is the name of the service, on the same network.",
    ),
    Diagnosis.REFUSED: (
        "Nobody listens at {address}.",
        "Start {program}, or correct host and port in {address}. In a container, localhost is the container itself.",
    ),
    Diagnosis.TIMEOUT: (
        "{program} did not answer in time.",
        "Look whether it is overloaded, and whether a firewall drops what goes to the host and port in {address}.",
    ),
    Diagnosis.TLS: (
        "The connection cannot be encrypted.",
        "Give the server a certificate of a known authority for this host, or set {address} to its http:// address"
        " within your own network.",
    ),
    Diagnosis.UNAUTHORIZED: ("{program} does not accept {key}.", "Copy the key again to {key}.{where}"),
    Diagnosis.FORBIDDEN: (
        "{program} accepts {key}, but not for this.",
        "Give the key the rights that it needs, or let a proxy before {program} pass its API.",
    ),
    Diagnosis.WRONG_URL_BASE: (
        "Something answers at {address}, but {program}'s API is not below it.",
        "Correct the path in {address}: it has to end with the URL base that {program} is set to, if any.",
    ),
    Diagnosis.WRONG_PROGRAM: (
        "What answers at {address} is not {program}.",
        "Correct host and port in {address}.",
    ),
    Diagnosis.VERSION_TOO_OLD: ("{program} is too old.", "Update {program}."),
    Diagnosis.RATE_LIMITED: ("{program} wants us to wait.", "Try again in some minutes."),
    Diagnosis.SERVER_ERROR: (
        "{program} is there, but failed.",
        "Look into the log of {program}, and of a proxy before it; then try again.",
    ),
    Diagnosis.BAD_ANSWER: (
        "What answers at {address} does not speak as {program} does.",
        "Correct host, port and http:// or https:// in {address}.",
    ),
    Diagnosis.NO_ROOT_FOLDER: ("{program} has no root folder.", "Add one in Lidarr under Settings, Media Management."),
    Diagnosis.FOLDER_MISSING: (
        "The folder is not there, or cannot be entered.",
        "Make the folder, mount it, or correct the setting.",
    ),
    Diagnosis.FOLDER_NOT_WRITABLE: (
        "The folder cannot be written to.",
        "Give the user that the suite runs as the right to write there, and mount it without read-only.",
    ),
    Diagnosis.DISK_FULL: ("The disk has less room than it must.", "Free some room, or lower storage.minimumFreeMib."),
    Diagnosis.CHOICE_MISSING: ("What is set is not there.", "Choose one that is there."),
    Diagnosis.IN_USE: ("It is used by somebody else at the moment.", "Try again later."),
    Diagnosis.NOT_CONNECTED: ("{program} works, but is not connected.", "Look into {program} why."),
    Diagnosis.SUITE_UNAVAILABLE: (
        "The part of the suite that tries this cannot be reached.",
        "Start the acquisition service, or wait until it is up; then try again.",
    ),
    Diagnosis.CLOCK_SKEW: (
        "The clock of {program} is far from ours.",
        "Set the clocks of both machines, best by NTP.",
    ),
}


def words(diagnosis: Diagnosis, names: Names) -> tuple[str, str]:
    """What was found, and what to do."""
    found, advice = _WORDS[diagnosis]
    said = {"program": names.program, "address": names.address, "key": names.key, "where": names.where}
    return _sentence(found.format(**said)), _sentence(advice.format(**said))


def _sentence(text: str) -> str:
    """Programs such as slskd keep their own spelling, also at the beginning."""
    return f"The{text[3:]}" if text.startswith("the ") else text
