"""What `lockgroove migrate` tells: one shape for what was done, what would be done, and what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.cli.exits import Exit
from deploy.cli.schema.databases import InUse, NoDatabase
from deploy.cli.schema.standing import Status
from libs.errors import AppError
from libs.schema.keeping import CopyRefused
from libs.sql.migrating.errors import MigrationLocked, MigrationRefused, SchemaDrift, SchemaUnknown
from libs.sql.migrating.statements import losing
from libs.sql.migrating.steps import Step

_REFUSALS: Final = (CopyRefused, InUse, MigrationLocked, MigrationRefused, NoDatabase, SchemaDrift, SchemaUnknown)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run came to, service after service."""

    down: bool = False
    dry_run: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)
    revisions: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    error: AppError | None = None

    def add(self, service: str, after: str, steps: Sequence[Step]) -> None:
        """A service is done, or there was nothing to do."""
        self.revisions[service] = after
        if not steps:
            self.skipped.append(service)
        self.steps += [self._step(service, step) for step in steps]

    @property
    def exit(self) -> Exit:
        """The status to end with: every service is at one of its revisions, whatever failed."""
        if self.error is None:
            return Exit.DONE
        return Exit.REFUSED if isinstance(self.error, _REFUSALS) else Exit.FAILED

    @property
    def message(self) -> str:
        """One sentence."""
        if self.error is not None:
            return self.error.message
        if not self.steps:
            return "nothing to do"
        would = "would be " if self.dry_run else ""
        return f"{len(self.steps)} revision(s) {would}{'taken back' if self.down else 'applied'}"

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "success": self.error is None,
            "message": self.message,
            "steps_completed": 0 if self.dry_run else len(self.steps),
            "skipped": self.skipped,
            "dry_run": self.dry_run,
            "steps": self.steps,
            "revisions": self.revisions,
            "error": self.error.message if self.error else None,
            "error_code": self.error.code_reason if self.error else None,
        }

    def as_lines(self) -> list[str]:
        """For people; of a dry run the statements, ready to be read by a database."""
        lines = []
        for step in self.steps:
            lines.append(f"-- {step['service']} {step['revision']}: {step['title']}")
            lines += [f"{statement};" for statement in step.get("statements", ())]
        return [*lines, f"-- {self.message}"]

    def _step(self, service: str, step: Step) -> dict[str, Any]:
        told: dict[str, Any] = {
            "service": service,
            "revision": step.revision.id,
            "title": step.revision.title,
            "direction": "down" if self.down else "up",
            "loses_data": self.down and bool(losing(step.statements)),
        }
        if self.dry_run:
            return {**told, "statements": list(step.statements)}
        return {**told, "duration_ms": round(step.took.total_seconds() * 1000)}


def status_document(found: Sequence[Status]) -> dict[str, Any]:
    """Where every schema stands."""
    return {"success": not any(each.stock.drift for each in found), "services": [_standing(each) for each in found]}


def _standing(found: Status) -> dict[str, Any]:
    stock = found.stock
    return {
        "service": found.service,
        "database": found.place,
        "revision": stock.revision or None,
        "head": found.head,
        "pending": list(found.pending),
        "drift": stock.drift or None,
        "additions": list(stock.additions),
        "revisions": [
            {
                "revision": record.revision,
                "checksum": record.checksum,
                "applied_at": record.applied_at.isoformat(timespec="milliseconds"),
                "release": record.release,
                "duration_ms": None if record.took is None else round(record.took.total_seconds() * 1000),
            }
            for record in stock.recorded.values()
        ],
    }
