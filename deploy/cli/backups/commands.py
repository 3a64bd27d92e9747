"""`lockgroove backup` and `lockgroove restore`."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.exits import Exit
from deploy.cli.output import Json, print_json, print_lines, print_table
from libs.errors import AppError

if TYPE_CHECKING:
    from deploy.cli.backups.making import Backup
    from deploy.cli.backups.restoring import Restored
    from libs.backup.folder import Kept

_REFUSALS = frozenset(
    {
        "ANOTHER_IS_AT_IT",
        "DATABASE_IN_USE",
        "NO_WAY_BACK",
        "NEWER_RELEASE",
        "OTHER_DIALECT",
        "STILL_RUNNING",
        "WRONG_BACKUP_KEY",
        "NOT_CONFIRMED",
        "RESTORE_PENDING",
    }
)
_HALFWAY = frozenset({"SWAP_FAILED", "HALF_BACK"})


def backup(
    to: Annotated[Path | None, typer.Option("--to", help="The folder; LOCKGROOVE_BACKUP_PATH unless told.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Restore it where nobody looks, before it counts.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Back up the databases of all services while they run, into one sealed file."""
    from deploy.cli.backups.making import make_backup

    with exits():
        made = asyncio.run(make_backup(os.environ, to, verify=verify))
    if as_json:
        print_json(_document(made))
        return
    print_lines([f"{made.path} ({made.size:,} bytes), {'verified' if verify else 'not verified'}"])
    print_table(("service", "revision", "rows"), [(name, made.revisions[name], made.rows[name]) for name in made.rows])
    print_lines(f"removed {path}" for path in made.removed)


def restore(
    file: Annotated[Path | None, typer.Argument(help="A backup; --list shows them.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Replace what is in the databases now.")] = False,
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Try it where nobody looks; change nothing.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the backups in LOCKGROOVE_BACKUP_PATH.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Finish a restore that was killed.")] = False,
    as_json: Json = False,
) -> None:
    """Put the databases of all services back to a backup. The suite must not run; what was there is kept aside."""
    with exits():
        if listing:
            _show_list(as_json=as_json)
        elif finish:
            _finish(as_json=as_json)
        elif file is None:
            raise typer.BadParameter("name a backup: `lockgroove restore --list` shows them")
        else:
            _restore(file, confirmed=yes, verify_only=verify_only, as_json=as_json)


@contextmanager
def exits() -> Iterator[None]:
    """Ends the command with the status that an error means."""
    try:
        yield
    except AppError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.code_reason in _REFUSALS:
            raise typer.Exit(Exit.REFUSED) from error
        raise typer.Exit(Exit.HALFWAY if error.code_reason in _HALFWAY else Exit.FAILED) from error


def require_confirmation(confirmed: bool, what: str) -> None:
    """Nothing is asked on a terminal. Raises NotConfirmed."""
    from libs.errors import FailedPrecondition

    if not confirmed:
        raise FailedPrecondition(f"{what}: say so with --yes", reason="NOT_CONFIRMED")


def _restore(file: Path, *, confirmed: bool, verify_only: bool, as_json: bool) -> None:
    from deploy.cli.backups.restoring import restore_backup

    require_confirmation(confirmed or verify_only, f"everything since {file} would leave the databases")
    done = asyncio.run(restore_backup(os.environ, file, verify_only=verify_only))
    if as_json:
        print_json(_restored(done))
        return
    said = "can be restored" if verify_only else "is restored"
    print_lines([f"{file} of {done.header.made_at}, release {done.header.release}, {said}"])
    print_lines(f"what was there before: {place}" for place in done.before)
    if done.key_restored:
        print_lines(["secret.key came back with it"])


def _finish(*, as_json: bool) -> None:
    from deploy.cli.backups.installation import Installation
    from deploy.cli.backups.swapping import finish_restore

    before = finish_restore(Installation.of(os.environ).home)
    if as_json:
        print_json({"finished": before is not None, "before": before})
    else:
        print_lines([f"finished; what was there before: {before}" if before else "there is nothing to finish"])


def _show_list(*, as_json: bool) -> None:
    from deploy.cli.backups.installation import Installation
    from libs.backup.folder import kept

    rows = list(_listed(kept(Installation.of(os.environ).folder)))
    if as_json:
        print_json({"backups": rows})
    else:
        print_table(("made", "release", "verified", "bytes", "file"), [list(row.values())[:5] for row in rows])


def _listed(found: "Sequence[Kept]") -> Iterator[dict[str, Any]]:
    """Those whose head can be read: a damaged one does not hide the others."""
    from libs.backup.errors import NotABackup
    from libs.backup.header import header_of

    for each in found:
        try:
            header = header_of(each.path)
        except NotABackup as error:
            typer.echo(f"left out: {error.message}", err=True)
            continue
        yield {
            "madeAt": header.made_at,
            "release": header.release,
            "verified": each.verified,
            "size": each.size,
            "path": str(each.path),
            "dialect": header.dialect,
            "revisions": dict(header.revisions),
            "sealedBy": header.sealed_by,
            "rootKeyId": header.root_key_id,
        }


def _document(made: "Backup") -> dict[str, Any]:
    return {
        "path": str(made.path),
        "madeAt": made.made_at.isoformat(),
        "release": made.release,
        "revisions": made.revisions,
        "size": made.size,
        "verified": made.verified,
        "rows": made.rows,
        "removed": [str(path) for path in made.removed],
    }


def _restored(done: "Restored") -> dict[str, Any]:
    return {
        "madeAt": done.header.made_at,
        "release": done.header.release,
        "revisions": dict(done.header.revisions),
        "before": done.before,
        "keyRestored": done.key_restored,
        "verifiedOnly": done.verified_only,
    }
