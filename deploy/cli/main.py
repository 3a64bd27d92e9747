"""The `lockgroove` command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.exits import Exit
from deploy.cli.root_key import commands as root_key
from deploy.cli.suite import SuiteUnreachable
from libs.errors import AppError

app = typer.Typer(
    name="lockgroove",
    help="A self-hosted acquisition backbone for music.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(root_key.app)

_wrong_command_line: Any = typer.BadParameter.__base__  # typer tells this class nowhere else


@app.callback()
def lockgroove() -> None:
    """A self-hosted acquisition backbone for music."""


@app.command()
def up(
    single_process: Annotated[
        bool, typer.Option("--single-process", help="Run all services in one process, for small devices.")
    ] = False,
) -> None:
    """Start every service as its own process; restart one that dies; stop cleanly on Ctrl-C."""
    # Another program takes this process over: what reads command lines need not stay in memory for months.
    arguments = ["--single-process"] if single_process else []
    os.execv(sys.executable, [sys.executable, "-m", "deploy.cli.running.up", *arguments])  # noqa: S606 (no shell is wanted)


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end and print the address and the key.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files; emptied at start.")] = Path("data/demo"),
) -> None:
    """Acquire albums on an embedded loopback network, and show what happened."""
    from deploy.cli.demo.run import run_demo

    raise typer.Exit(asyncio.run(run_demo(folder=folder.absolute(), keep=keep)))


@app.command()
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


def main() -> None:
    """Where `.venv/bin/lockgroove` begins: errors are told in one line, for they say what to do."""
    _wrong_command_line.exit_code = Exit.USAGE
    try:
        app()
    except AppError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.exit(Exit.UNREACHABLE if isinstance(error, SuiteUnreachable) else Exit.FAILED)
