"""`lockgroove releases` and `lockgroove rollback`."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.backups.commands import exits, require_confirmation
from deploy.cli.output import Json, print_json, print_lines, print_table

if TYPE_CHECKING:
    from deploy.cli.releases.records import Release
    from deploy.cli.releases.rolling_back import Plan


def releases(as_json: Json = False) -> None:
    """List the releases that ran here, the newest first."""
    from deploy.cli.backups.installation import Installation
    from deploy.cli.releases import records

    with exits():
        found = records.releases(Installation.of(os.environ).home)
    if as_json:
        print_json({"releases": [_document(each) for each in found]})
        return
    rows = [(each.number, each.version, each.made_at, each.image or "", each.backup or "") for each in found]
    print_table(("number", "version", "made", "image", "backup before it"), rows)


def rollback(
    to: Annotated[
        int | None, typer.Option("--to", help="A release's number; the one before the newest unless told.")
    ] = None,
    db_only: Annotated[bool, typer.Option("--db-only", help="Return the data alone.")] = False,
    services_only: Annotated[bool, typer.Option("--services-only", help="Return the version alone.")] = False,
    to_backup: Annotated[Path | None, typer.Option("--to-backup", help="Return to the data of this backup.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it: where a backup comes back, what came since is lost.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Return data and version to a recorded release: 1 failed, all as it was; 2 a person has to look."""
    from deploy.cli.releases.rolling_back import plan_back, roll_back

    if db_only and services_only:
        raise typer.BadParameter("--db-only and --services-only leave nothing to do")
    if services_only and to_backup:
        raise typer.BadParameter("--services-only leaves the data as it is: --to-backup has no use")
    with exits():
        if dry_run:
            plan = asyncio.run(plan_back(os.environ, to=to, data=not services_only, backup=to_backup))
            _show(plan, as_json=as_json)
            return
        require_confirmation(yes, "data and version would go back (--dry-run tells how)")
        done = asyncio.run(roll_back(os.environ, to=to, data=not services_only, services=not db_only, backup=to_backup))
    _show(done.plan, as_json=as_json, restarted=done.restarted, before=list(done.before))
    if not (done.restarted or db_only or as_json):
        print_lines([f"now start release {done.plan.release.version}: LOCKGROOVE_RESTART_COMMAND is not set"])


def _show(plan: "Plan", *, as_json: bool, **done: Any) -> None:
    if as_json:
        way = {"way": plan.way, "backup": str(plan.backup) if plan.backup else None}
        print_json({"release": _document(plan.release), **way, **done})
        return
    lines = [f"release {plan.release.version} (number {plan.release.number})"]
    lines += [f"the data comes from {plan.backup}: what came since is lost"] if plan.backup else []
    lines += ["the data stays"] if plan.way == "nothing" else []
    print_lines(lines + [f"what was there before: {place}" for place in done.get("before", [])])


def _document(release: "Release") -> dict[str, Any]:
    return {
        "number": release.number,
        "version": release.version,
        "revisions": dict(release.revisions),
        "madeAt": release.made_at.isoformat(),
        "image": release.image,
        "backup": str(release.backup) if release.backup else None,
    }
