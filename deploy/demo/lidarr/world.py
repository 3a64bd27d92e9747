"""The stateful fake Lidarr as one thing: an address, a key, a root folder and everything a test can turn."""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from deploy.demo.albums import Album
from deploy.demo.lidarr.app import build_app
from deploy.demo.lidarr.notifications import Sent
from deploy.demo.lidarr.scenario import Scenario
from deploy.demo.lidarr.state import Fault, Lidarr, Timing
from deploy.demo.loopback_http import HOST, serving
from libs.clock import Clock, SystemClock


class LidarrWorld:
    """A Lidarr for as long as the context lasts. `lidarr` has its parts: library, commands, downloads, history, ...

    `root` is its root folder, into which it imports; `scenarios` maps release groups to what becomes of them.
    """

    def __init__(
        self,
        root: Path,
        catalogue: Iterable[Album],
        *,
        scenarios: Mapping[str, Scenario] | None = None,
        timing: Timing | None = None,
        clock: Clock | None = None,
        api_key: str | None = None,
    ) -> None:
        self.root = root
        self.api_key = api_key or secrets.token_hex(16)
        self.lidarr = Lidarr(
            root,
            catalogue,
            api_key=self.api_key,
            clock=clock or SystemClock(),
            timing=timing or Timing(),
            scenarios=scenarios or {},
        )
        self._port = 0
        self._listening = AsyncExitStack()

    @property
    def url(self) -> str:
        """The address, as LIDARR_URL wants it."""
        return f"http://{HOST}:{self._port}"

    @property
    def sent(self) -> list[Sent]:
        """Every webhook that was tried, with the status that came back."""
        return self.lidarr.notifications.sent

    def sent_kinds(self) -> list[str]:
        """The event types of the webhooks that were tried, in order."""
        return [sent.kind for sent in self.sent]

    def fail(self, method: str, path: str, status: int, *, times: int = 1) -> None:
        """Answer the next requests whose path starts with `path` (`/api/v1/album`, ...) with this status."""
        self.lidarr.faults.append(Fault(method=method, path=path, status=status, times=times))

    async def go_down(self) -> None:
        """Refuse connections; what runs inside goes on."""
        await self._listening.aclose()

    async def come_back(self) -> None:
        """Listen again, on the same port as before."""
        self._port = await self._listening.enter_async_context(
            serving(build_app(self.lidarr), port=self._port, dates=False)
        )

    async def __aenter__(self) -> Self:
        """Make the root folder and listen on a free port of loopback."""
        self.root.mkdir(parents=True, exist_ok=True)
        await self.come_back()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering, then everything that runs inside."""
        await self.go_down()
        await self.lidarr.close()
