"""promtool, run to its end."""

import asyncio

from tests.ops.prometheus import program


async def promtool(*arguments: str, given: bytes = b"") -> tuple[int, str]:
    """Its exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        str(program("promtool")),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, said.decode()
