"""`lockgroove acquisitions`: ask for albums, follow them, stop them, start them again."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from deploy.cli.exits import Exit
from deploy.cli.output import Json, print_json, print_lines
from deploy.cli.resources import options
from deploy.cli.resources.following import follow
from deploy.cli.resources.lists import at, listed, moment, show_list
from deploy.cli.resources.options import DryRun, Filter, Limit, OrderBy, PageSize, Yes
from deploy.cli.resources.selection import Chosen, Kind, do_with_each
from deploy.cli.suite import Document, Suite, open_suite

app = typer.Typer(
    name="acquisitions", help="Ask for albums, follow them, stop them, start them again.", no_args_is_help=True
)

_PATH = "/api/v1/acquisitions"
_ACTIVE = ("QUEUED", "SEARCHING", "DOWNLOADING", "VERIFYING", "IMPORTING", "WAITING")
_ENDED = ("COMPLETED", "FAILED", "CANCELLED")

Names = Annotated[list[str], typer.Argument(help="`acquisitions/ID`, or the ID alone.", metavar="NAME")]
OneName = Annotated[str, typer.Argument(help="`acquisitions/ID`, or the ID alone.", metavar="NAME")]
State = Annotated[str, typer.Option("--state", help="Only those in this state: FAILED.")]
Artist = Annotated[str, typer.Option("--artist", help="Only those of this artist; a star at an end matches anything.")]
Batch = Annotated[str, typer.Option("--batch", help="Only those of this batch: `batches/ID`.")]


@app.command("list")
def list_acquisitions(
    state: State = "",
    artist: Artist = "",
    batch: Batch = "",
    filter_text: Filter = "",
    order_by: OrderBy = "",
    limit: Limit = 50,
    page_size: PageSize = 200,
    as_json: Json = False,
) -> None:
    """List acquisitions, newest first."""
    wanted = options.every(*options.equals({"state": state.upper(), "artist": artist, "batch": batch}), filter_text)
    with open_suite() as suite:
        found = listed(
            suite, _PATH, "acquisitions", limit=limit, page_size=page_size, filter=wanted or None, orderBy=order_by
        )
    columns = {
        "NAME": at("name"),
        "STATE": at("state"),
        "ALBUM": _album,
        "SOURCE": at("currentSource"),
        "ASKED": moment("createTime"),
        "WHY": at("failure.reason"),
    }
    show_list(found, "acquisitions", columns, as_json=as_json)


@app.command()
def show(name: OneName, as_json: Json = False) -> None:
    """Show one acquisition with its attempts and files."""
    with open_suite() as suite:
        found = suite.get(f"/api/v1/{_kind().full_name(name)}")
    if as_json:
        print_json(found)
    else:
        print_lines(_described(found))


@app.command()
def request(
    artist: Annotated[str, typer.Argument(help="The artist, as on the cover.")],
    title: Annotated[str, typer.Argument(help="The title, as on the cover.")],
    mbid: Annotated[str, typer.Option(help="The MusicBrainz id of the release group; Lidarr needs it.")] = "",
    year: Annotated[int, typer.Option(help="The year of the first release.")] = 0,
    source: Annotated[str, typer.Option(help="SOULSEEK, LIDARR or SLSKD; as the settings say without.")] = "",
    fallback: Annotated[str, typer.Option(help="The source to try when the first one fails.")] = "",
    priority: Annotated[int, typer.Option(min=1, max=10, help="10 goes before everything else.")] = 5,
    request_id: Annotated[str, typer.Option(help="A UUID: asking again with it is the same request.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end; exit status 1 unless COMPLETED.")] = False,
    as_json: Json = False,
) -> None:
    """Ask for an album; one that is being acquired already is joined."""
    album = {"artist": artist, "title": title, "releaseGroupMbid": mbid, "year": year}
    body = {"album": _given(album), "source": source.upper(), "fallback": fallback.upper(), "priority": priority}
    with open_suite() as suite:
        made = suite.post(_PATH, _given(body), requestId=request_id or None)
        if wait:
            _follow(suite, [made["name"]], "", as_json=as_json)
        elif as_json:
            print_json(made)
        else:
            print_lines([_line(made)])


@app.command()
def watch(
    names: Names = [],  # noqa: B006 - typer wants a list, and copies it
    filter_text: Filter = "",
    as_json: Json = False,
) -> None:
    """Print acquisitions, then each change, one line each; with names until all of those have ended.

    Goes on where it was when the suite restarts. With --json each line is one message as the API sends it. With names,
    the exit status is 1 unless all of them are COMPLETED.
    """
    with open_suite() as suite:
        _follow(suite, [_kind().full_name(name) for name in names], filter_text, as_json=as_json)


@app.command()
def retry(
    names: Names = [],  # noqa: B006 - typer wants a list, and copies it
    filter_text: Filter = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Start failed or cancelled acquisitions again."""
    _do("retry", _ENDED[1:], names, filter_text, yes, dry_run, as_json)


@app.command()
def cancel(
    names: Names = [],  # noqa: B006 - typer wants a list, and copies it
    filter_text: Filter = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Stop active acquisitions, and remove what they have fetched so far."""
    _do("cancel", _ACTIVE, names, filter_text, yes, dry_run, as_json)


def _do(
    verb: str,
    states: tuple[str, ...],
    names: list[str],
    filter_text: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    chosen = Chosen(names=names, filter=filter_text, yes=yes, dry_run=dry_run)
    with open_suite() as suite:
        found = _kind(options.one_of("state", states)).find(suite, chosen)
        do_with_each(
            suite, found, verb, lambda name: suite.post(f"/api/v1/{name}:{verb}"), dry_run=dry_run, as_json=as_json
        )


def _follow(suite: Suite, names: list[str], filter_text: str, *, as_json: bool) -> None:
    open_ones = set(names)
    failed = False
    for name in names:
        suite.get(f"/api/v1/{name}")  # one that does not exist would be waited for in vain
    for message in follow(suite, f"{_PATH}:watch", filter=filter_text or None):
        changed = message["acquisition"]
        if names and changed["name"] not in open_ones:
            continue
        _print(changed, message, as_json=as_json)
        if names and changed["state"] in _ENDED:
            open_ones.remove(changed["name"])
            failed |= changed["state"] != "COMPLETED"
            if not open_ones:
                break
    if failed:
        raise typer.Exit(Exit.FAILED)


def _print(acquisition: Document, message: Document, *, as_json: bool) -> None:
    if as_json:
        print_json(message)
    else:
        print_lines([_line(acquisition)])


def _line(acquisition: Document) -> str:
    progress = acquisition.get("progress") or {}
    total, received = int(progress.get("totalBytes", 0)), int(progress.get("receivedBytes", 0))
    share = f" {received * 100 // total} %" if total and acquisition["state"] == "DOWNLOADING" else ""
    failure = acquisition.get("failure") or {}
    why = f"  {failure['reason']}: {failure.get('message', '')}" if failure.get("reason") else ""
    return f"{acquisition['name']}  {acquisition['state']}{share}  {_album(acquisition)}{why}"


def _described(acquisition: Document) -> list[str]:
    fields = ("createTime", "updateTime", "endTime", "nextStepTime", "requester", "batch", "priority", "paused")
    lines = [_line(acquisition)]
    lines += [f"  {field}: {acquisition[field]}" for field in fields if acquisition.get(field)]
    for attempt in acquisition.get("attempts", ()):
        peer, error = attempt.get("peer", ""), attempt.get("error", "")
        told = " ".join(str(part) for part in (attempt["source"], peer, attempt["state"], error) if part)
        lines.append(f"  attempt {attempt['number']}: {told}")
    lines += [f"  file: {file['path']}" for file in acquisition.get("files", ())]
    return lines


def _album(acquisition: Document) -> str:
    album: Mapping[str, Any] = acquisition["album"]
    year = f" ({album['year']})" if album.get("year") else ""
    return f"{album.get('artist', '')} - {album.get('title', '')}{year}"


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _kind(only: str = "") -> Kind:
    return Kind(collection="acquisitions", path=_PATH, only=only)
