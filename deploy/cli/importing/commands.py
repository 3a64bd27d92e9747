"""`lockgroove import`: what other systems know, brought in."""

import asyncio
import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.output import Bar, Json, print_json, print_lines, print_table, progress
from deploy.cli.resources.private_files import write_private
from deploy.cli.resources.settings import read_text

if TYPE_CHECKING:
    from deploy.cli.importing.report import Report

app = typer.Typer(name="import", help="Bring in what another system knows.", no_args_is_help=True)

URL_VARIABLE = "KIMA_DATABASE_URL"
KEY_VARIABLES = ("SETTINGS_ENCRYPTION_KEY", "ENCRYPTION_KEY")
_MOST_SHOWN = 20  # remarks for people; the record has all


@app.callback()
def imports() -> None:
    """Bring in what another system knows."""


@app.command()
def kima(
    url_file: Annotated[
        str, typer.Option("--from-url-file", help="A file with the URL of Kima's database; KIMA_DATABASE_URL without.")
    ] = "",
    key_file: Annotated[
        str, typer.Option("--key-file", help="A file with Kima's key for secrets; SETTINGS_ENCRYPTION_KEY without.")
    ] = "",
    settings: Annotated[bool, typer.Option("--settings", help="Import settings; the suite must be up.")] = False,
    jobs: Annotated[bool, typer.Option("--jobs", help="Import download jobs.")] = False,
    batches: Annotated[bool, typer.Option("--batches", help="Import discovery batches.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Import webhook events.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace settings that are set here already.")] = False,
    resume_active: Annotated[
        bool, typer.Option("--resume-active", help="Start jobs again that Kima had not ended; else they are cancelled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import settings, jobs, discovery batches and webhook events of Kima 1.5; all of them, unless some are named.

    Kima's database is only read. Importing again brings in what is new, and nothing twice.
    """
    from deploy.cli.importing.kima import PARTS, Plan, import_kima
    from deploy.cli.importing.report import Report
    from deploy.cli.importing.secrets import KimaKey

    named = {"settings": settings, "jobs": jobs, "batches": batches, "events": events}
    key = _given(key_file, *KEY_VARIABLES)
    plan = Plan(
        parts=[part for part in PARTS if named[part]] or PARTS,
        key=KimaKey(key) if key else None,
        overwrite=overwrite,
        resume=resume_active,
        dry_run=dry_run,
    )
    url = _given(url_file, URL_VARIABLE)
    if not url:
        raise typer.BadParameter(f"say where Kima's database is: --from-url-file, or {URL_VARIABLE}")
    report = Report(dry_run=dry_run)
    try:
        with progress("reading") as bar:
            show = partial(_show, bar)
            asyncio.run(import_kima(url, plan, os.environ, show, report))
    finally:
        _conclude(report, as_json=as_json)


def _show(bar: Bar, part: str, read: int) -> None:
    bar.show(read, title=f"{part}: {read} read")


def _conclude(report: "Report", *, as_json: bool) -> None:
    """Keeps what was done, and tells it, also where the import broke off; nothing where it did not begin."""
    if not report.counts:
        return
    record = None
    try:
        record = None if report.dry_run else _record(report)
    finally:
        _tell(report, record, as_json=as_json)


def _given(file: str, *variables: str) -> str:
    if file:
        return read_text(file).strip()
    return next((value for name in variables if (value := os.environ.get(name))), "")


def _record(report: "Report") -> Path:
    """Keeps the report in the data folder."""
    home = Path(os.environ.get("LOCKGROOVE_HOME") or "data").absolute()
    path = home / "imports" / f"kima-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json"
    write_private(path, json.dumps(report.to_json(), ensure_ascii=False, indent=1) + "\n")
    return path


def _tell(report: "Report", record: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json({**report.to_json(), "record": str(record) if record else ""})
        return
    imported = "WOULD BE IMPORTED" if report.dry_run else "IMPORTED"
    print_table(("PART", "READ", imported, "THERE ALREADY", "SKIPPED"), report.table())
    if report.resumed:
        print_lines([f"{report.resumed} unfinished jobs were started again"])
    for each in report.remarks[:_MOST_SHOWN]:
        print_lines([f"{each.part} {each.row} {each.column}: {each.why}"])
    more = len(report.remarks) - _MOST_SHOWN + report.remarks_left_out
    if more > 0:
        print_lines([f"and {more} more remarks" + (f": see {record}" if record else "; --json has them")])
