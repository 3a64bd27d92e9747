"""`lockgroove bench`: the benchmarks of the source tree."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.cli.exits import Exit
from libs.errors import FailedPrecondition

_TREE = Path(__file__).parents[3]


class NoSourceTree(FailedPrecondition):
    """Benchmarks are not installed with the suite."""

    reason = "NO_SOURCE_TREE"
    exit_status = Exit.REFUSED


def bench(names: Sequence[str], *, quiet: bool = False, tree: Path = _TREE) -> tuple[int, str]:
    """Runs those of these names, or all; the exit status, and what they print if it is `quiet`. Raises NoSourceTree."""
    if not (tree / "tests" / "benchmarks").is_dir():
        raise NoSourceTree("benchmarks come with the source tree, not with the installed suite: run this there")
    command = [sys.executable, "-m", "tests.benchmarks", *names]
    done = subprocess.run(command, cwd=tree, check=False, text=True, stdout=subprocess.PIPE if quiet else None)  # noqa: S603 (ours)
    return done.returncode, done.stdout or ""
