"""A real Prometheus: the one of this machine, else Debian's package unpacked below build/."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / "build" / "prometheus"

Json = Mapping[str, Any]


class NoPrometheus(Exception):
    """There is none, and none can be had."""


def program(name: str) -> Path:
    """`prometheus` or `promtool`; raises NoPrometheus."""
    found = shutil.which(name)
    unpacked = UNPACKED / "usr" / "bin" / name
    if not found and not unpacked.exists():
        _unpack()
    return Path(found) if found else unpacked


def _unpack() -> None:
    UNPACKED.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "prometheus"], cwd=UNPACKED, check=True, capture_output=True)
        package = next(UNPACKED.glob("prometheus_*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=UNPACKED, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        raise NoPrometheus(
            "make test-ops needs Prometheus: neither is it on PATH, nor could Debian's package be downloaded"
            " (apt-get download prometheus)."
        ) from error


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, path: str, **parameters: str) -> Json:
        """What it answers; an error of it is a failure."""
        answer = (await self._client.get(f"/api/v1/{path}", params=parameters)).json()
        assert answer["status"] == "success", answer
        return dict(answer["data"])

    async def query(self, expression: str) -> Sequence[Json]:
        """The samples of an expression, now."""
        return list((await self.ask("query", query=expression))["result"])


@asynccontextmanager
async def running_prometheus(config: Path, folder: Path, port: int) -> AsyncIterator[Prometheus]:
    """Prometheus with this configuration, once it is ready."""
    address = f"127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        str(program("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False) as client:

            async def ready() -> bool:
                with suppress(httpx.HTTPError):
                    return (await client.get("/-/ready")).status_code == 200
                return False

            await eventually(ready)
            yield Prometheus(client)
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    try:
        program("prometheus"), program("promtool")
    except NoPrometheus as error:
        sys.exit(str(error))
