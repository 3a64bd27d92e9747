"""`lockgroove up`."""

import os
import sys
from typing import Annotated

import typer


def up(
    single_process: Annotated[
        bool, typer.Option("--single-process", help="Run all services in one process, for small devices.")
    ] = False,
) -> None:
    """Start every service as its own process; restart one that dies; stop cleanly on Ctrl-C."""
    # Another program takes this process over: what reads command lines need not stay in memory for months.
    arguments = ["--single-process"] if single_process else []
    os.execv(sys.executable, [sys.executable, "-m", "deploy.cli.running.up", *arguments])  # noqa: S606 (no shell is wanted)
