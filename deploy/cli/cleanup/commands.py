"""`lockgroove cleanup`: what is removed once it is old, now instead of at night."""

from typing import Annotated, Any

import typer

from deploy.cli.exits import Exit
from deploy.cli.output import Json, print_json, print_lines, print_table


def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Only tell what the last run removed.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the end of the run.")] = 3600,
    as_json: Json = False,
) -> None:
    """Remove what is old from the databases, and tell what it was: 0 done, 1 not all of it, 4 nobody answers."""
    from deploy.cli.cleanup import running
    from deploy.cli.suite import open_suite

    with open_suite() as suite:
        if dry_run:
            found = running.preview(suite)
        elif report:
            found = running.last(suite)
        else:
            found = running.run(suite, within=timeout)
    print_json(found) if as_json else _show(found)
    raise typer.Exit(Exit.FAILED if running.problems(found) else Exit.DONE)


def _show(found: dict[str, Any]) -> None:
    reports = found.get("reports", [])
    count = "Would remove" if found.get("dryRun") else "Removed"
    rows = [
        (each["service"], kind["kind"], kind.get("count", 0), f"kept {kind['rule']}", kind.get("problem", ""))
        for each in reports
        for kind in each.get("removals", ())
    ]
    print_table(["Service", "What", count, "Rule", "Problem"], rows)
    print_lines(_lines(each) for each in reports if each.get("problem") or each.get("endTime"))


def _lines(report: dict[str, Any]) -> str:
    if problem := report.get("problem"):
        return f"{report['service']}: cannot be asked: {problem}"
    running = ", one is under way" if report.get("running") else ""
    return f"{report['service']}: the last run ended {report['endTime']}{running}; next {report['nextRunTime']}"
