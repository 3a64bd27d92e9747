"""`lockgroove migrate`: the schemas of the services, forwards, backwards, and where they stand."""

import asyncio
import os
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deploy.cli.exits import Exit
from deploy.cli.output import Json, print_json, print_lines, print_table

if TYPE_CHECKING:
    from deploy.cli.schema.reports import Report


class Service(StrEnum):
    """What has a database."""

    CONFIG = "config"
    WEBHOOKS = "webhooks"
    ACQUISITION = "acquisition"


app = typer.Typer(
    name="migrate",
    help="Bring the databases to this release, take one back, tell where they stand.",
    no_args_is_help=True,
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the SQL, and change nothing.")]
Wait = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for another process that migrates.")]


@app.command()
def up(
    service: Annotated[Service | None, typer.Option(help="This one alone; without it, all of them.")] = None,
    to: Annotated[str | None, typer.Option(help="Stop at this revision of --service.")] = None,
    dry_run: DryRun = False,
    wait: Wait = 10,
    yes: Annotated[bool, typer.Option("--yes", help="Accepted for scripts: nothing is asked.")] = False,
    as_json: Json = False,
) -> None:
    """Apply what is missing, as every start does, after a copy of each database."""
    from deploy.cli.schema.running import run_up

    if to and service is None:
        raise typer.BadParameter("--to needs --service: revisions are counted for each service")
    services = [service.value] if service else [each.value for each in Service]
    report = asyncio.run(run_up(os.environ, services, to, dry_run=dry_run, wait=timedelta(seconds=wait)))
    _end(report, as_json=as_json)


@app.command()
def down(
    service: Annotated[Service, typer.Option(help="Whose database.")],
    to: Annotated[str, typer.Option(help="The revision to go back to.")],
    dry_run: DryRun = False,
    allow_data_loss: Annotated[
        bool, typer.Option("--allow-data-loss", help="Take back what holds rows, too: they are in the copy only.")
    ] = False,
    wait: Wait = 10,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: without this, nothing is done.")] = False,
    as_json: Json = False,
) -> None:
    """Take revisions back, after a copy of the database; the suite has to be stopped."""
    from deploy.cli.schema.running import run_down

    patience = timedelta(seconds=wait)
    report = asyncio.run(
        run_down(
            os.environ,
            service.value,
            to,
            dry_run=dry_run,
            confirmed=yes,
            losses_allowed=allow_data_loss,
            wait=patience,
        )
    )
    _end(report, as_json=as_json)


@app.command()
def status(
    service: Annotated[Service | None, typer.Option(help="This one alone; without it, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Tell where each schema stands: 0 as it should be or older, 3 somebody changed it."""
    from deploy.cli.schema.reports import status_document
    from deploy.cli.schema.standing import status as look

    services = [service.value] if service else [each.value for each in Service]
    document = status_document(asyncio.run(look(os.environ, services)))
    if as_json:
        print_json(document)
    else:
        found = document["services"]
        rows = [(each["service"], each["revision"] or "-", each["head"], _state(each)) for each in found]
        print_table(("service", "revision", "release", "state"), rows)
    raise typer.Exit(Exit.DONE if document["success"] else Exit.REFUSED)


def _state(standing: dict[str, object]) -> str:
    if drift := standing["drift"]:
        return f"drift: {drift}"
    if isinstance(pending := standing["pending"], list) and pending:
        return f"pending: {', '.join(pending)}"
    return "current" if standing["revision"] == standing["head"] else "of a newer release"


def _end(report: "Report", *, as_json: bool) -> NoReturn:
    if as_json:
        print_json(report.as_document())
    else:
        print_lines(report.as_lines())
    raise typer.Exit(report.exit)
