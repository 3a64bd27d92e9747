"""`lockgroove demo`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end and print the address and the key.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files; emptied at start.")] = Path("data/demo"),
) -> None:
    """Acquire albums on an embedded loopback network, and show what happened."""
    from deploy.cli.demo.run import run_demo

    raise typer.Exit(asyncio.run(run_demo(folder=folder.absolute(), keep=keep)))
