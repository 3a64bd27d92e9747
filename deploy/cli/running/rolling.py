"""A restart of the whole suite, one service after another: each is ready before the next one ends, the gateway last."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.cli.running.marks import Restart, State, note
from deploy.cli.running.readiness import is_listening, wait_ready
from deploy.cli.running.supervisor import Supervisor

PATIENCE = 60.0  # seconds for a service to be ready

_PORTS = {"config": 50053, "webhooks": 50052, "acquisition": 50051}
_POLL = 0.1  # seconds


class Rolling:
    """Restarts services when asked; a service that does not get ready ends it, and the others stay as they are."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        environment: Mapping[str, str],
        gateway: tuple[str, int],
        home: Path,
        write: Callable[[str, str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._supervisor = supervisor
        self._environment = environment
        self._gateway = gateway
        self._home = home
        self._write = write
        self._patience = patience

    async def run(self, asked: asyncio.Event) -> None:
        """One restart for each time that `asked` is set; never returns."""
        while True:
            await asked.wait()
            asked.clear()
            await self.run_once()

    async def run_once(self) -> Restart:
        """One restart; how it went is noted in the data folder, too."""
        note(self._home, Restart(state=State.RUNNING))
        ended = await self._all()
        note(self._home, ended)
        self._write("lockgroove", _told(ended))
        return ended

    async def _all(self) -> Restart:
        for name in self._supervisor.names:
            self._write("lockgroove", f"restarts {name}")
            try:
                async with asyncio.timeout(self._patience):
                    await self._supervisor.restart(name)
                    await self._ready(name)
            except TimeoutError:
                return Restart(state=State.FAILED, service=name)
        return Restart(state=State.DONE)

    async def _ready(self, name: str) -> None:
        """The service listens, and the gateway finds the suite ready with it."""
        if port := _PORTS.get(name):
            address = self._environment.get(f"LOCKGROOVE_{name.upper()}_LISTEN") or f"127.0.0.1:{port}"
            while not await is_listening(address):  # noqa: ASYNC110 (another process has no event to wait for)
                await asyncio.sleep(_POLL)
        await wait_ready(*self._gateway)


def _told(ended: Restart) -> str:
    if ended.state is State.DONE:
        return "restarted every service"
    return f"{ended.service} did not get ready; the services behind it were not restarted"
