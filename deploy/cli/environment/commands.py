"""`lockgroove validate`."""

import asyncio
import os
from typing import Annotated

import typer

from deploy.cli.exits import Exit


def validate(
    offline: Annotated[bool, typer.Option("--offline", help="Make no connections: databases, Redis, ports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
) -> None:
    """Tell all that is wrong with variables, versions, disks, folders, ports, databases and keys; start nothing."""
    from deploy.cli.environment import validate as checks
    from deploy.cli.environment.finding import Level
    from deploy.cli.output import print_json

    found = asyncio.run(checks.all_findings(os.environ, offline=offline))
    if as_json:
        print_json(checks.as_json(found))
    else:
        typer.echo(checks.as_text(found))
    fails = bool(found) if strict else checks.count(Level.ERROR, found) > 0
    raise typer.Exit(Exit.FAILED if fails else Exit.DONE)
