"""The machine has memory and cores for the suite: fewer are no more than slow."""

import os
from pathlib import Path

from deploy.cli.environment.finding import Environment, Finding, warning

ENOUGH_MEMORY = 1024  # MiB; a suite of four processes takes about a third of that
ENOUGH_CORES = 2

_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of the container that we are in
_MIB = 1024 * 1024


async def machine(_: Environment) -> list[Finding]:
    """What is scarce."""
    found = []
    if (memory := memory_mib()) < ENOUGH_MEMORY:
        text = f"{memory} MiB are here, {ENOUGH_MEMORY} are comfortable: start with --single-process"
        found.append(warning("memory", text))
    if (cores := len(os.sched_getaffinity(0))) < ENOUGH_CORES:
        found.append(
            warning("cores", f"{cores} is here, {ENOUGH_CORES} are comfortable: verification will take longer")
        )
    return found


def memory_mib() -> int:
    """What this machine has, or the container if that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(_LIMIT.read_text())
    except (OSError, ValueError):
        limit = whole
    return min(whole, limit) // _MIB
