"""Commands run as their users run them, with the project's tools on the path."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and all that it printed."""

    status: int
    output: str


async def lockgroove(*arguments: str, environment: Mapping[str, str]) -> Ran:
    """Runs one of our commands in a thread of this process, which is quicker; its environment is added to ours."""
    from typer.testing import CliRunner

    from deploy.cli.main import app

    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=dict(environment))
    return Ran(result.exit_code, result.output)


async def run(*command: str, environment: Mapping[str, str] | None = None, within: float = 60.0) -> Ran:
    """Run a command to its end; it is killed, and the test fails, when it takes longer than `within` seconds."""
    search = {**(os.environ if environment is None else environment)}
    search["PATH"] = f"{BIN}{os.pathsep}{search.get('PATH', os.defpath)}"
    process = await asyncio.create_subprocess_exec(
        *command,
        env=search,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ran(process.returncode, output.decode(errors="replace"))
