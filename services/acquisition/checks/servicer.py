"""CheckService: translate, call, translate."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc

from services.acquisition.checks import convert
from services.acquisition.checks.folders import FolderCheck, Need
from services.acquisition.checks.login import Finding
from services.acquisition.checks.soulseek import SoulseekCheck

Context = ServicerContext[Any, Any]

_MIB = 1 << 20


class Wanted(Protocol):
    """The settings of the moment."""

    def music(self) -> Path | None:
        """Where the library is, if somebody said so."""
        ...

    def downloads(self) -> Path:
        """Where downloads wait."""
        ...

    def minimum_free(self) -> int:
        """How many bytes must stay free."""
        ...


class CheckServicer(rpc.CheckServiceServicer):
    """The API of checks. `session_age` tells for how long our session on Soulseek has run."""

    def __init__(
        self,
        folders: FolderCheck,
        soulseek: SoulseekCheck,
        *,
        wanted: Wanted,
        session_age: Callable[[], timedelta | None],
    ) -> None:
        self._folders = folders
        self._soulseek = soulseek
        self._wanted = wanted
        self._session_age = session_age

    async def CheckStorage(self, request: pb.CheckStorageRequest, context: Context) -> pb.CheckStorageResponse:
        return convert.looks_to_pb(await self._folders.look(*self._needs(request)))

    async def CheckSoulseek(self, request: pb.CheckSoulseekRequest, context: Context) -> pb.CheckSoulseekResponse:
        outcome = await self._soulseek.check(convert.login_from_pb(request))
        age = self._session_age() if outcome.finding is Finding.CONNECTED else None
        return convert.outcome_to_pb(outcome, age)

    def _needs(self, request: pb.CheckStorageRequest) -> list[Need]:
        if request.slskd_download_path:
            return [Need(setting="slskd.downloadPath", path=Path(request.slskd_download_path), writable=False)]
        free = self._wanted.minimum_free()
        if request.HasField("minimum_free_mib"):
            free = request.minimum_free_mib * _MIB
        music = Path(request.music_path) if request.music_path else self._wanted.music()
        downloads = Path(request.download_path) if request.download_path else self._wanted.downloads()
        return [
            Need(setting="storage.musicPath", path=music, free_bytes=free),
            Need(setting="storage.downloadPath", path=downloads, free_bytes=free, parent=downloads.parent),
        ]
