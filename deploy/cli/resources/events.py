"""`lockgroove events`: the webhooks that came in, what became of them, and those that were given up."""

from typing import Annotated

import typer

from deploy.cli.output import Json, print_json, print_lines
from deploy.cli.resources import options
from deploy.cli.resources.following import follow
from deploy.cli.resources.lists import at, listed, moment, show_list
from deploy.cli.resources.options import DryRun, Filter, Limit, OrderBy, PageSize, Yes
from deploy.cli.resources.selection import Chosen, Kind, do_with_each
from deploy.cli.suite import Document, open_suite

app = typer.Typer(
    name="events", help="Read the webhooks that came in, and process them once more.", no_args_is_help=True
)

_PATH = "/api/v1/events"
_REPLAYABLE = ("DONE", "DEAD", "IGNORED", "UNMATCHED")
_COLUMNS = {
    "NAME": at("name"),
    "STATE": at("state"),
    "SOURCE": at("source"),
    "TYPE": at("type"),
    "RECEIVED": moment("receiveTime"),
    "WHY": lambda event: event.get("reason") or event.get("error", ""),
}

Names = Annotated[list[str], typer.Argument(help="`events/ID`, or the ID alone.", metavar="NAME")]
State = Annotated[str, typer.Option("--state", help="Only those in this state: DEAD.")]
Source = Annotated[str, typer.Option("--source", help="Only those of this source: lidarr.")]
Type = Annotated[str, typer.Option("--type", help="Only those of this type: Grab.")]


@app.command("list")
def list_events(
    state: State = "",
    source: Source = "",
    event_type: Type = "",
    search: Annotated[str, typer.Option("--search", help="Only those with these bytes in the body.")] = "",
    filter_text: Filter = "",
    order_by: OrderBy = "",
    limit: Limit = 50,
    page_size: PageSize = 200,
    as_json: Json = False,
) -> None:
    """List events without their bodies, newest first."""
    fields = {"state": state.upper(), "source": source, "type": event_type}
    wanted = options.every(*options.equals(fields), filter_text)
    asked = {"filter": wanted or None, "orderBy": order_by or None, "search": search or None}
    with open_suite() as suite:
        found = listed(suite, _PATH, "events", limit=limit, page_size=page_size, **asked)
    show_list(found, "events", _COLUMNS, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="`events/ID`, or the ID alone.", metavar="NAME")], as_json: Json = False
) -> None:
    """Show one event with its tries; with --json its headers and body (base64), too."""
    path = f"/api/v1/{_kind().full_name(name)}"
    with open_suite() as suite:
        found = suite.get(path)
        tries = list(suite.pages(f"{path}/attempts", "attempts"))
    if as_json:
        print_json(found | {"attempts": tries})
    else:
        print_lines(_described(found, tries))


@app.command()
def watch(filter_text: Filter = "", as_json: Json = False) -> None:
    """Print events, then each change, one line each. Goes on where it was when the suite restarts."""
    with open_suite() as suite:
        for message in follow(suite, f"{_PATH}:watch", filter=filter_text or None):
            if as_json:
                print_json(message)
            else:
                print_lines([_line(message["event"])])


@app.command()
def replay(
    names: Names = [],  # noqa: B006 - typer wants a list, and copies it
    filter_text: Filter = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Process ended events once more, one by one. For thousands, POST /api/v1/replays does it at a rate."""
    chosen = Chosen(names=names, filter=filter_text, yes=yes, dry_run=dry_run)
    with open_suite() as suite:
        found = _kind(options.one_of("state", _REPLAYABLE)).find(suite, chosen)
        do_with_each(
            suite, found, "replay", lambda name: suite.post(f"/api/v1/{name}:replay"), dry_run=dry_run, as_json=as_json
        )


@app.command("dead-letters")
def dead_letters(
    groups: Annotated[bool, typer.Option("--groups", help="Group them by what went wrong.")] = False,
    filter_text: Filter = "",
    limit: Limit = 50,
    page_size: PageSize = 200,
    as_json: Json = False,
) -> None:
    """List the events that were given up, newest first."""
    with open_suite() as suite:
        if groups:
            path, collection = "/api/v1/deadLetterGroups", "groups"
            found = listed(suite, path, collection, limit=limit, page_size=page_size)
        else:
            path, collection = "/api/v1/deadLetters", "messages"
            found = listed(suite, path, collection, limit=limit, page_size=page_size, filter=filter_text or None)
    show_list(found, collection, _GROUP_COLUMNS if groups else _COLUMNS, as_json=as_json)


_GROUP_COLUMNS = {
    "COUNT": at("messageCount"),
    "SOURCE": at("source"),
    "TYPE": at("type"),
    "REASON": at("reason"),
    "ERROR": at("error"),
    "LAST": moment("lastReceiveTime"),
}


def _line(event: Document) -> str:
    told = (event["name"], event["state"], event["source"], event.get("type", ""), event.get("reason", ""))
    return "  ".join(part for part in told if part)


def _described(event: Document, tries: list[Document]) -> list[str]:
    fields = ("receiveTime", "updateTime", "nextAttemptTime", "error", "duplicateCount", "bodySizeBytes", "origin")
    lines = [_line(event)]
    lines += [f"  {field}: {event[field]}" for field in fields if event.get(field)]
    lines += [f"  acquisition: {name}" for name in event.get("acquisitions", ())]
    lines += [f"  try {one['number']}: {one['toState']} {one.get('error', '')}".rstrip() for one in tries]
    return lines


def _kind(only: str = "") -> Kind:
    return Kind(collection="events", path=_PATH, only=only)
