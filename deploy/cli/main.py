"""The `lockgroove` command: its table of contents. What a command does is in its room."""

import sys
from typing import Any

import typer

from deploy.cli.backups import commands as backups
from deploy.cli.cleanup import commands as cleanup
from deploy.cli.demo import commands as demo
from deploy.cli.environment import commands as environment
from deploy.cli.exits import Exit
from deploy.cli.importing import commands as importing
from deploy.cli.operating import commands as operating
from deploy.cli.output import print_error
from deploy.cli.releases import commands as releases
from deploy.cli.resources import acquisitions, events, settings
from deploy.cli.root_key import commands as root_key
from deploy.cli.running import commands as running
from deploy.cli.schema import commands as schema
from libs.errors import AppError

app = typer.Typer(
    name="lockgroove",
    help="A self-hosted acquisition backbone for music.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(running.up)
app.command()(demo.demo)
app.command()(environment.validate)
app.command()(operating.health)
app.command()(operating.smoke)
app.command()(operating.deploy)
app.command()(operating.watch)
app.command()(operating.bench)
app.command()(cleanup.cleanup)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(releases.releases)
app.command()(releases.rollback)
app.add_typer(schema.app)
app.add_typer(settings.app)
app.add_typer(acquisitions.app)
app.add_typer(events.app)
app.add_typer(root_key.app)
app.add_typer(importing.app)

_wrong_command_line: Any = typer.BadParameter.__base__  # typer tells this class nowhere else


@app.callback()
def lockgroove() -> None:
    """A self-hosted acquisition backbone for music."""


def main() -> None:
    """Where `.venv/bin/lockgroove` begins: errors are told in one line, for they say what to do."""
    _wrong_command_line.exit_code = Exit.USAGE
    as_json = "--json" in sys.argv[1:]
    try:
        sys.exit(app(standalone_mode=not as_json))  # alone, typer tells what is wrong with a command line
    except _wrong_command_line as error:
        print_error(error.format_message(), reason="USAGE", as_json=as_json)
        sys.exit(Exit.USAGE)
    except AppError as error:
        print_error(error.message, reason=error.code_reason, violations=error.violations, as_json=as_json)
        sys.exit(getattr(error, "exit_status", Exit.FAILED))
