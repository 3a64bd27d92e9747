"""Tries what only the acquisition service can reach: its folders, and Soulseek, where all logins are its own."""

from collections.abc import Mapping

import grpc
from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc

from services.config.domain.connections import CheckFailedError, Findings
from services.config.domain.diagnoses import Diagnosis

_Folder = pb.CheckStorageResponse.Folder
_Answer = pb.CheckSoulseekResponse
_GIB = 1 << 30

_FAULTS = {
    _Folder.UNSET: Diagnosis.NOT_CONFIGURED,
    _Folder.MISSING: Diagnosis.FOLDER_MISSING,
    _Folder.NOT_WRITABLE: Diagnosis.FOLDER_NOT_WRITABLE,
    _Folder.FULL: Diagnosis.DISK_FULL,
    _Folder.STALLED: Diagnosis.TIMEOUT,
}
_SAID = {
    _Folder.UNSET: "{setting} is not set.",
    _Folder.MISSING: "{setting} is {path}, which is not there or cannot be entered.",
    _Folder.NOT_WRITABLE: "{setting} is {path}, which cannot be written to.",
    _Folder.FULL: "{setting} is {path}, where {free} GiB are free and {needed} GiB have to be.",
    _Folder.STALLED: "{setting} is {path}, whose disk does not answer.",
}
_ADVICE = {
    _Folder.UNSET: "Set {setting}.",
    _Folder.MISSING: "Make the folder, mount it where the acquisition service runs, or correct {setting}.",
    _Folder.STALLED: "Look at the disk or the network share behind {setting}.",
}
_REFUSALS = {
    _Answer.IN_USE: Diagnosis.IN_USE,
    _Answer.DNS: Diagnosis.DNS,
    _Answer.REFUSED: Diagnosis.REFUSED,
    _Answer.TIMEOUT: Diagnosis.TIMEOUT,
    _Answer.BAD_PASSWORD: Diagnosis.UNAUTHORIZED,
    _Answer.REJECTED: Diagnosis.FORBIDDEN,
    _Answer.BAD_ANSWER: Diagnosis.BAD_ANSWER,
}
_SOULSEEK_ADVICE = {
    _Answer.IN_USE: "Give the suite an account of its own: two programs with one account keep throwing each other out.",
    _Answer.BAD_PASSWORD: "Correct soulseek.username and soulseek.password. A new account is made by its first login:"
    " if the password is refused, somebody else has the name.",
    _Answer.REJECTED: "Choose another soulseek.username, of up to 30 plain letters and digits.",
    _Answer.BAD_ANSWER: "Correct host and port in soulseek.server; the usual one is server.slsknet.org:2416.",
}


class SuiteProbe:
    """Has the acquisition service try it. Its methods raise AppError where that cannot be reached."""

    def __init__(self, acquisition: grpc.aio.Channel) -> None:
        self._checks = rpc.CheckServiceStub(acquisition)

    async def storage(self, values: Mapping[str, str], findings: Findings) -> None:
        """Are the folders there, writable, and roomy?"""
        request = pb.CheckStorageRequest(
            music_path=values.get("storage.music_path", ""), download_path=values.get("storage.download_path", "")
        )
        if (minimum := values.get("storage.minimum_free_mib")) is not None:
            request.minimum_free_mib = int(minimum)
        answer = await self._checks.CheckStorage(request)
        by_lidarr = values.get("storage.library_owner") == "LIDARR"
        for folder in answer.folders:
            if by_lidarr and folder.fault == _Folder.UNSET:
                findings.good(_subject(folder), "Lidarr keeps the library.")
            else:
                _tell(findings, folder)
        if not any(folder.fault for folder in answer.folders):
            how = (
                "moved there at once" if answer.same_file_system else "copied, for the folders are on two file systems"
            )
            findings.good("fileSystem", f"Finished albums are {how}.")

    async def slskd_folder(self, path: str, findings: Findings) -> None:
        """Does the acquisition service see where slskd puts its downloads?"""
        answer = await self._checks.CheckStorage(pb.CheckStorageRequest(slskd_download_path=path))
        for folder in answer.folders:
            _tell(findings, folder)

    async def soulseek(self, values: Mapping[str, str], findings: Findings) -> None:
        """Does the account work? A session that runs with it is the answer, and stays as it is."""
        if values.get("soulseek.enabled") == "false":
            raise CheckFailedError(Diagnosis.DISABLED, subject="enabled")
        server, username, password = (values.get(f"soulseek.{name}", "") for name in ("server", "username", "password"))
        if not (server and username and password):
            raise CheckFailedError(
                Diagnosis.NOT_CONFIGURED,
                "Soulseek has no account.",
                "Set soulseek.username and soulseek.password.",
                subject="settings",
            )
        request = pb.CheckSoulseekRequest(server=server, username=username, password=password)
        answer = await self._checks.CheckSoulseek(request)
        if answer.finding == _Answer.ELSEWHERE:  # calls go round: the next one reaches whoever has the session
            answer = await self._checks.CheckSoulseek(request)
        if answer.finding in _REFUSALS:
            subject = "account" if answer.finding in _SOULSEEK_ADVICE else "address"
            advice = _SOULSEEK_ADVICE.get(answer.finding, "")
            findings.wrong(subject, _REFUSALS[answer.finding], answer.message, advice)
        elif answer.finding == _Answer.CONNECTED:
            findings.good("account", "The suite is connected with this account, and stayed so.")
        elif answer.finding == _Answer.ELSEWHERE:
            findings.good("account", "Another process of the suite has this account, and keeps its session.")
        else:
            findings.good("account", "A trial login succeeded, and was ended again.")


def _tell(findings: Findings, folder: _Folder) -> None:
    said = {
        "setting": folder.setting,
        "path": folder.path,
        "free": f"{folder.free_bytes / _GIB:.1f}",
        "needed": f"{folder.needed_bytes / _GIB:.1f}",
    }
    if folder.fault == _Folder.FAULT_UNSPECIFIED:
        findings.good(_subject(folder), "{setting} is {path}, with {free} GiB free.".format(**said))
        return
    advice = _ADVICE.get(folder.fault, "").format(**said)
    message = _SAID[folder.fault].format(**said)
    findings.wrong(_subject(folder), _FAULTS[folder.fault], message, advice)


def _subject(folder: _Folder) -> str:
    return folder.setting.partition(".")[2]
