"""Tries slskd as the suite uses it."""

import uuid
from collections.abc import Awaitable, Callable, Mapping

from services.config.connections.answer import Ask, Json
from services.config.connections.api import Api, Version
from services.config.domain.connections import CheckFailedError, Findings
from services.config.domain.diagnoses import Diagnosis

FIRST_VERSION = (0, 26)  # with batches of downloads

LookAt = Callable[[str, Findings], Awaitable[None]]
"""Notes whether the acquisition service can enter a folder."""


class SlskdProbe:
    """Tries slskd."""

    def __init__(self, ask: Ask, look_at: LookAt) -> None:
        self._ask = ask
        self._look_at = look_at

    async def test(self, values: Mapping[str, str], findings: Findings) -> None:
        """Is it there and new enough, is it on Soulseek, may our key search, and do we see its downloads?"""
        api = self._api(values)
        answer = await api.get("/api/v0/application")
        findings.latency = answer.took
        told = (await api.expect(answer)).document()
        if not {"version", "server"} <= told.keys():
            raise CheckFailedError(Diagnosis.WRONG_PROGRAM)
        findings.good("address", "slskd answers, and accepts slskd.apiKey.")
        _check_version(findings, told["version"])
        await self._check_role(api, findings)
        _check_network(findings, told["server"])
        if path := values.get("slskd.download_path"):
            await self._look_at(path, findings)
        else:
            findings.wrong(
                "downloadPath",
                Diagnosis.NOT_CONFIGURED,
                "slskd.downloadPath is not set: slskd is not used as a source.",
                "Set slskd.downloadPath to slskd's downloads folder as the acquisition service sees it.",
            )

    def _api(self, values: Mapping[str, str]) -> Api:
        if values.get("slskd.enabled") == "false":
            raise CheckFailedError(Diagnosis.DISABLED, subject="enabled")
        url, key = values.get("slskd.url"), values.get("slskd.api_key")
        if not (url and key):
            raise CheckFailedError(Diagnosis.NOT_CONFIGURED, subject="settings")
        bases = ("", "/slskd")
        return Api(self._ask, url, setting="slskd.url", headers={"X-API-Key": key}, alive="/health", bases=bases)

    async def _check_role(self, api: Api, findings: Findings) -> None:
        """A search that nobody ever began is unknown (404) to those who may search, and forbidden to others."""
        answer = await api.get(f"/api/v0/searches/{uuid.uuid4()}")
        if answer.status == 403:
            findings.wrong(
                "role",
                Diagnosis.FORBIDDEN,
                "slskd does not let us search: it is a relay agent, or the key is not for us.",
                "Set slskd.url to the controller of the relay, or give the key the role readwrite and our address.",
            )


def _check_version(findings: Findings, told: object) -> None:
    version = Version.find(told.get("current") if isinstance(told, Mapping) else told)
    if version is None:
        findings.wrong("version", Diagnosis.BAD_ANSWER, "slskd does not tell its version.")
        return
    findings.version = version.text
    if version.number < FIRST_VERSION:
        wanted = ".".join(map(str, FIRST_VERSION))
        message = f"slskd {findings.version} is too old: it knows no batches of downloads."
        findings.wrong("version", Diagnosis.VERSION_TOO_OLD, message, f"Update slskd to {wanted} or later.")
    else:
        findings.good("version", f"It is slskd {findings.version}.")


def _check_network(findings: Findings, told: Json | object) -> None:
    if isinstance(told, Mapping) and told.get("isLoggedIn") is True:
        findings.good("soulseek", "slskd is logged in to Soulseek.")
    else:
        message = "slskd works, but is not logged in to Soulseek."
        findings.wrong("soulseek", Diagnosis.NOT_CONNECTED, message, "Look into slskd why, and connect it there.")
