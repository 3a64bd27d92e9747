"""`lockgroove validate`."""

import os
from typing import Annotated

import typer

from deploy.cli.exits import Exit


def validate(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
) -> None:
    """Check the environment without starting anything: every setting, unknown names, root key, database address."""
    from deploy.cli.environment import validate as checks

    found = checks.findings(os.environ)
    typer.echo(checks.as_json(found) if as_json else checks.as_text(found))
    wrong = [each for each in found if strict or each.level is checks.Level.ERROR]
    raise typer.Exit(Exit.FAILED if wrong else Exit.DONE)
