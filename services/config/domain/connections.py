"""Connections: what a test of one found, and with which values it may be tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from libs.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, Violation
from services.config.domain.catalogue import Catalogue
from services.config.domain.diagnoses import NAMES, Diagnosis, Names, words

_PORTS = {"http": 80, "https": 443}

# Where a stored secret may go: only to what it was stored for.
_TIES: Mapping[str, tuple[str, ...]] = {
    "lidarr.api_key": ("lidarr.url",),
    "slskd.api_key": ("slskd.url",),
    "soulseek.password": ("soulseek.server", "soulseek.username"),
    "lastfm.api_key": ("lastfm.url",),
    "lastfm.api_secret": ("lastfm.url",),
    "spotify.client_secret": ("spotify.accounts_url",),
}


class UnknownConnection(InvalidArgument):
    """There is no connection of this name."""

    reason = "UNKNOWN_CONNECTION"


class SecretNeeded(InvalidArgument):
    """Another address is tried: the stored secret is for the stored one, so a secret has to be given along."""

    reason = "SECRET_NEEDED"


class TestRunning(ResourceExhausted):
    """The same connection is being tried by somebody else."""

    __test__ = False  # for pytest, which takes the name for a test's
    reason = "TEST_RUNNING"


class CheckFailedError(Exception):
    """Something is so wrong with a connection that looking further makes no sense."""

    def __init__(self, diagnosis: Diagnosis, message: str = "", advice: str = "", *, subject: str = "address") -> None:
        super().__init__(diagnosis)
        self.diagnosis = diagnosis
        self.message = message
        self.advice = advice
        self.subject = subject


class LidarrUnusable(FailedPrecondition):
    """Lidarr cannot be asked; `metadata["diagnosis"]` is what a test of the connection would find."""

    reason = "LIDARR_UNUSABLE"

    @classmethod
    def because(cls, error: CheckFailedError) -> "LidarrUnusable":
        """For what a look-up met."""
        usual, advice = words(error.diagnosis, NAMES["lidarr"])
        message = f"{error.message or usual} {error.advice or advice}"
        return cls(message, metadata={"diagnosis": error.diagnosis.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found of one part: `subject` is `address`, `version`, `rootFolder`…"""

    subject: str
    diagnosis: Diagnosis
    message: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether it works."""
        return self.diagnosis is Diagnosis.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTest:
    """What came of a test: all that was looked at, in order."""

    connection: str
    checks: tuple[Check, ...]
    tested: datetime
    version: str = ""
    latency: timedelta | None = None

    @property
    def ok(self) -> bool:
        """Whether all of it works."""
        return self.verdict.ok

    @property
    def verdict(self) -> Check:
        """The first thing that is wrong, else that it works."""
        works, _ = words(Diagnosis.OK, NAMES[self.connection])
        good = Check(subject="", diagnosis=Diagnosis.OK, message=works)
        return next((check for check in self.checks if not check.ok), good)


class Findings:
    """Collects what a test finds; where no words are given, those of the diagnosis are taken."""

    def __init__(self, names: Names) -> None:
        self.version = ""
        self.latency: timedelta | None = None
        self.checks: list[Check] = []
        self._names = names

    def good(self, subject: str, message: str) -> None:
        """Note that a part works."""
        self.checks.append(Check(subject=subject, diagnosis=Diagnosis.OK, message=message))

    def wrong(self, subject: str, diagnosis: Diagnosis, message: str = "", advice: str = "") -> None:
        """Note that a part does not."""
        usual, what_to_do = words(diagnosis, self._names)
        check = Check(subject=subject, diagnosis=diagnosis, message=message or usual, advice=advice or what_to_do)
        self.checks.append(check)

    def failed(self, error: CheckFailedError) -> None:
        """Note why the test went no further."""
        self.wrong(error.subject, error.diagnosis, error.message, error.advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A quality or metadata profile of Lidarr."""

    id: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFolder:
    """A root folder of Lidarr, with the profiles that new artists get there."""

    path: str
    title: str
    accessible: bool
    free_bytes: int
    quality_profile_id: int
    metadata_profile_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrChoices:
    """What there is in Lidarr to choose from."""

    quality_profiles: tuple[Profile, ...] = ()
    metadata_profiles: tuple[Profile, ...] = ()
    root_folders: tuple[RootFolder, ...] = ()


def tried(catalogue: Catalogue, connection: str, held: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The values to try: those in force, the given ones over them.

    Raises SecretNeeded where a stored secret would go to another place than it was stored for.
    """
    for secret, ties in _TIES.items():
        if secret.startswith(f"{connection}.") and secret in held and secret not in given:
            for tie in ties:
                if tie in given and not _is_same(tie, given[tie], held.get(tie, "")):
                    raise _needed(catalogue.get(secret).json_path, catalogue.get(tie).json_path, secret)
    return {**held, **given}


def _needed(secret: str, tie: str, path: str) -> SecretNeeded:
    field = f"settings.{path}"
    why = f"another {tie} is tried than the one in force: give {secret} along, the stored one is never sent elsewhere"
    violation = Violation(field=field, description=why, reason=SecretNeeded.reason)
    return SecretNeeded(f"{field}: {why}", violations=[violation])


def _is_same(tie: str, given: str, held: str) -> bool:
    return given == held or (not tie.endswith(".username") and _place(given) == _place(held))


def _place(text: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; a text that is none is a place of its own."""
    if "://" not in text:
        return "", text.casefold(), None
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", text, None
    return parts.scheme, (parts.hostname or text), port
