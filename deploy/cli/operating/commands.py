"""The commands that look after a suite that runs."""

import asyncio
import json
import os
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.exits import Exit

if TYPE_CHECKING:
    from deploy.cli.operating.health import Health
    from deploy.cli.operating.smoke import Result

_JSON = "Print one JSON document, and nothing else, on standard output."


class Service(StrEnum):
    """What can be asked for its health."""

    CONFIG = "config"
    WEBHOOKS = "webhooks"
    ACQUISITION = "acquisition"
    GATEWAY = "gateway"


def health(
    service: Annotated[
        Service | None, typer.Option(help="Ask this one alone, itself; without it, all of them.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is healthy, for as long as --timeout says.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds until an answer, or with --wait until it works.")
    ] = 30,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if something optional does not work.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Tell whether the suite works: 0 it does, 1 it does not, 4 nobody answers."""
    from deploy.cli.operating import health as looking

    def fits(found: "Health") -> bool:
        return found.status is looking.Status.HEALTHY or (found.works and not strict)

    look = looking.looker(service.value if service else None)
    found = looking.wait_until(look, within=timeout, fits=fits) if wait else look(timeout)
    _show_health(found, as_json=as_json)
    unfit = Exit.UNREACHABLE if found.status is looking.Status.UNREACHABLE else Exit.FAILED
    raise typer.Exit(Exit.DONE if fits(found) else unfit)


def smoke(
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell of each test, not only of those that fail.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Try the suite that runs, from its gateway to each service, and leave nothing behind."""
    from deploy.cli.operating.smoke import TESTS
    from deploy.cli.operating.smoke import smoke as run
    from deploy.cli.output import print_json, print_lines, progress

    results = []
    with progress("smoke", len(TESTS)) as bar:
        for result in run(os.environ):
            results.append(result)
            bar.show(len(results))
    failed = [each for each in results if not each.passed]
    if as_json:
        print_json({"passed": not failed, "tests": [asdict(each) for each in results]})
    else:
        print_lines(_told(each) for each in (results if verbose else failed))
        print_lines([f"{len(results) - len(failed)} of {len(results)} passed"])
    raise typer.Exit(Exit.FAILED if failed else Exit.DONE)


def deploy(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell the steps, look at the environment, no more.")
    ] = False,
    skip_tests: Annotated[bool, typer.Option("--skip-tests", help="Do not try the suite afterwards.")] = False,
    skip_backup: Annotated[bool, typer.Option("--skip-backup", help="Make no backup before.")] = False,
    no_rollback: Annotated[
        bool, typer.Option("--no-rollback", help="Leave everything as it is when a step fails.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a line, one for each event.")] = False,
) -> None:
    """Have what is on the disk run: 1 a step failed, and what ran runs again; 2 it does not; 3 nothing was begun."""
    from deploy.cli.operating.deploying import Deployment, Wanted, alone
    from deploy.cli.operating.reporting import Report
    from deploy.cli.operating.steps import Outcome, run_steps
    from deploy.cli.running.marks import home_of

    report = Report(as_json=as_json)
    with alone(home_of(os.environ)):
        deployment = Deployment(os.environ, Wanted(tests=not skip_tests, backup=not skip_backup))
        deployment.require_way()
        if dry_run:
            report.plan(deployment.steps)
        steps = deployment.steps[:1] if dry_run else deployment.steps
        outcome = asyncio.run(run_steps(steps, report.tell, roll_back=not no_rollback))
    report.end(outcome, dry_run=dry_run)
    exits = {Outcome.DONE: Exit.DONE, Outcome.ROLLED_BACK: Exit.FAILED, Outcome.HALFWAY: Exit.HALFWAY}
    raise typer.Exit(exits[outcome])


def watch(
    total: Annotated[str, typer.Option("--for", help="How long to watch: 90, 300s, 5m or 1h.")] = "1h",
    every: Annotated[str, typer.Option(help="How long a window is.")] = "300s",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a line, one for each window.")] = False,
) -> None:
    """Watch a new release: 1 at the first window with over 1 % errors, a p95 over 300 ms, or queues that wait 30 s."""
    from deploy.cli.operating.durations import seconds
    from deploy.cli.operating.reporting import tell_window
    from deploy.cli.operating.watching import metrics_of
    from deploy.cli.operating.watching import watch as watching

    for window in watching(metrics_of(os.environ), total=seconds(total), every=seconds(every)):
        tell_window(window, as_json=as_json)
        if window.breaches:
            raise typer.Exit(Exit.FAILED)


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; all of them without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Print the benchmarks of docs/performance.md, as this machine runs them; needs the source tree."""
    from deploy.cli.operating.benchmarking import bench as run
    from deploy.cli.output import print_json

    status, printed = run(names or [], quiet=as_json)
    if as_json:
        print_json({"status": status, "output": printed})
    raise typer.Exit(Exit.DONE if status == 0 else Exit.FAILED)


def _told(result: "Result") -> str:
    head = f"{'ok' if result.passed else 'FAILED':<7} {result.name:<16} {result.seconds:.2f} s"
    return head if result.passed else f"{head}  expected {result.expected}; got {result.got}"


def _show_health(found: "Health", *, as_json: bool) -> None:
    """Without what tables need: a container asks every few seconds."""
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(f"{found.subject}: {found.status}")
    for name, state in (found.services or {}).items():
        typer.echo(f"  {name}: {state}")
    for reason in found.reasons:
        typer.echo(f"  because {reason}")
