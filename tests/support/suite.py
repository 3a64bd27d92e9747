"""The suite as its users run it: `lockgroove up` in processes of its own, on free ports and in a folder of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.leaks import Leaks
from tests.support.new_home import move_in
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ADMIN_KEY = "lg_test-admin-key-0123456789"
SERVICES = ("config", "webhooks", "acquisition", "gateway")
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
ONE_PROCESS = "--single-process"  # half the work to start: for tests that do not look at processes

Json = dict[str, Any]


class Suite:
    """A running suite: its REST client, its processes, and all that they printed.

    Whatever it answers to that client, or prints, is searched for its secrets.
    """

    def __init__(self, process: asyncio.subprocess.Process, environment: Mapping[str, str]) -> None:
        self.process = process
        self.environment = environment
        self.lines: list[str] = []
        self.url = f"http://127.0.0.1:{environment['LOCKGROOVE_PORT']}"
        self.key = ADMIN_KEY
        self.leaks = Leaks(environment)
        self.client = httpx.AsyncClient(
            base_url=self.url,
            headers={"X-Api-Key": ADMIN_KEY},
            timeout=30,
            trust_env=False,
            event_hooks={"response": [self._look]},
        )

    def address(self, service: str) -> str:
        """Where a service answers gRPC."""
        return self.environment[f"LOCKGROOVE_{service.upper()}_LISTEN"]

    def pid(self, service: str) -> int | None:
        """The process id of a service; None while it is down."""
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if f"services.{service}" in child.cmdline():
                    return child.pid
        return None

    async def kill(self, service: str) -> int:
        """SIGKILL a service, wait for it to be up if it is not; returns the pid that was killed."""

        async def running() -> int | None:
            return self.pid(service)

        pid = await eventually(running)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def wait_ready(self, within: float = 60.0) -> None:
        """Return once the gateway says that everything is ready."""

        async def ready() -> bool:
            with suppress(httpx.HTTPError):
                return (await self.client.get("/api/ready")).status_code == 200
            return False

        try:
            await eventually(ready, within=within)
        except AssertionError as error:
            raise AssertionError("\n".join(["the suite did not get ready:", *self.lines[-60:]])) from error

    async def request(self, **fields: object) -> Json:
        """Ask for an album; the acquisition."""
        answer = await self.client.post("/api/v1/acquisitions", json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def acquisition(self, name: str) -> Json | None:
        """Read an acquisition; None while the suite cannot answer."""
        with suppress(httpx.HTTPError):
            answer = await self.client.get(f"/api/v1/{name}")
            if answer.status_code == 200:
                return dict(answer.json())
            assert answer.status_code in (503, 504), answer.text
        return None

    async def ended(self, name: str, within: float = 90.0) -> Json:
        """The acquisition once it has ended."""
        last: Json | None = None

        async def ended() -> Json | None:
            nonlocal last
            last = await self.acquisition(name) or last
            return last if last and last["state"] in ENDED else None

        try:
            return await eventually(ended, within=within, every=0.1)
        except AssertionError as error:
            text = json.dumps(last, indent=1)
            raise AssertionError("\n".join([f"{name} did not end: {text}", *self.lines[-60:]])) from error

    async def _look(self, answer: httpx.Response) -> None:
        """Looks for secrets in an answer; streams are left to who follows them."""
        body = ""
        if answer.headers.get("content-type", "").startswith(("application/json", "application/problem+json", "text/")):
            body = "" if "event-stream" in answer.headers["content-type"] else (await answer.aread()).decode("latin-1")
        self.leaks.look(f"{answer.request.method} {answer.request.url.path}", f"{answer.headers.raw}{body}")

    async def stop(self) -> int:
        """SIGTERM, as Ctrl-C does; the exit status."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            return await self.process.wait()


def suite_environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a suite with its own home and ports; nothing of this machine's settings leaks in."""
    config, webhooks, acquisition, gateway = free_ports(4)
    own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {
        **own,
        "LOCKGROOVE_HOME": str(home),
        "LOCKGROOVE_ADMIN_KEY": ADMIN_KEY,
        "LOCKGROOVE_HOST": "127.0.0.1",
        "LOCKGROOVE_BACKUP_TIME": "off",  # no test is about the night
        "RATE_LIMIT_PER_MINUTE": "1000000",  # tests are in a hurry
        "RATE_LIMIT_PER_HOUR": "10000000",
        "RATE_LIMIT_BURST": "1000000",
        "FAILED_ATTEMPTS_LIMIT": "100000",
        "LOCKGROOVE_PORT": str(gateway),
        "LOCKGROOVE_CONFIG_LISTEN": f"127.0.0.1:{config}",
        "LOCKGROOVE_WEBHOOKS_LISTEN": f"127.0.0.1:{webhooks}",
        "LOCKGROOVE_ACQUISITION_LISTEN": f"127.0.0.1:{acquisition}",
        **extra,
    }


@asynccontextmanager
async def running_suite(
    environment: Mapping[str, str], *arguments: str, first_start: bool = False
) -> AsyncIterator[Suite]:
    """`lockgroove up` with this environment, ready; ended at exit. With `first_start` it makes its databases itself."""
    if not first_start and "DATABASE_URL" not in environment:
        await move_in(Path(environment["LOCKGROOVE_HOME"]))
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lockgroove")),
        "up",
        *arguments,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 22,
    )
    suite = Suite(process, environment)
    reader = asyncio.create_task(_collect(process, suite.lines))
    try:
        await suite.wait_ready()
        yield suite
    finally:
        await suite.client.aclose()
        if process.returncode is None:
            await suite.stop()
        await reader
    suite.leaks.look_through("printed", suite.lines)
    suite.leaks.check()


async def _collect(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        lines.append(line.decode(errors="replace").rstrip("\n"))
