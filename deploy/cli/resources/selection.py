"""Several resources, named or found by a filter, and what becomes of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from deploy.cli.exits import Exit
from deploy.cli.output import print_json, print_table, progress
from deploy.cli.resources.options import every
from deploy.cli.suite import Document, Refused, Suite

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which resources somebody means: these, or all that match; `yes` and `dry_run` belong to a filter."""

    names: Sequence[str]
    filter: str
    yes: bool
    dry_run: bool

    def __post_init__(self) -> None:
        """Raises BadParameter unless it is clear what is meant."""
        if bool(self.names) == bool(self.filter):
            raise typer.BadParameter("name what you mean, or say --filter: one of both")
        if self.filter and not (self.yes or self.dry_run):
            raise typer.BadParameter("--filter needs --dry-run, which only says what would be done, or --yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of resources: `only` is the filter of those with which something can be done."""

    collection: str
    path: str
    only: str

    def find(self, suite: Suite, chosen: Chosen) -> list[str]:
        """Their names, all of them before anything is done: doing it changes what a filter finds."""
        if chosen.names:
            return list(dict.fromkeys(self.full_name(name) for name in chosen.names))
        found = suite.pages(
            self.path,
            self.collection,
            pageSize=PAGE,
            filter=every(chosen.filter, self.only),
            orderBy="name",
        )
        return [each["name"] for each in found]

    def full_name(self, name: str) -> str:
        """A name with its collection, where it was given without."""
        return name if name.startswith(f"{self.collection}/") else f"{self.collection}/{name}"


def do_with_each(
    suite: Suite, names: Sequence[str], verb: str, do: Callable[[str], Document], *, dry_run: bool, as_json: bool
) -> None:
    """Does it with each, tells what became of each, and ends with FAILED where it could not be done with one.

    Raises SuiteUnreachable where nobody answers any more; what was done until then is told first.
    """
    outcomes: list[dict[str, str]] = []
    try:
        with progress(verb, total=len(names)) as bar:
            for count, name in enumerate(names, start=1):
                outcomes.append(_dry(name) if dry_run else _outcome(name, do))
                bar.show(count)
    finally:
        _tell(verb, outcomes, len(names), as_json=as_json)
    if any("error" in each for each in outcomes):
        raise typer.Exit(Exit.FAILED)


def _dry(name: str) -> dict[str, str]:
    return {"name": name, "state": "", "would": "yes"}


def _outcome(name: str, do: Callable[[str], Document]) -> dict[str, str]:
    try:
        return {"name": name, "state": str(do(name).get("state", ""))}
    except Refused as refused:
        return {"name": name, "state": "", "error": refused.message, "reason": refused.code_reason}


def _tell(verb: str, outcomes: Sequence[Mapping[str, Any]], total: int, *, as_json: bool) -> None:
    failed = sum("error" in each for each in outcomes)
    would = sum("would" in each for each in outcomes)
    counts = {"done": len(outcomes) - failed - would, "would": would, "failed": failed, "left": total - len(outcomes)}
    if as_json:
        results = [{key: value for key, value in each.items() if key != "would" and value} for each in outcomes]
        print_json({"action": verb, "results": results, **counts})
        return
    if outcomes:
        print_table(("NAME", "RESULT"), [(each["name"], _told(verb, each)) for each in outcomes])
    typer.echo(f"{verb}: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "done"))


def _told(verb: str, outcome: Mapping[str, Any]) -> str:
    if "would" in outcome:
        return f"would {verb}"
    return str(outcome.get("error") or outcome["state"] or "done")
