"""`lockgroove keys list|show|create|revoke`: API keys, who may call the suite and what for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from deploy.cli.output import Json, print_json, print_lines
from deploy.cli.resources.lists import at, listed, moment, show_list
from deploy.cli.resources.options import Limit, PageSize
from deploy.cli.resources.selection import Chosen, Kind, do_with_each
from deploy.cli.suite import Document, open_suite

_PATH = "/api/v1/keys"
_KIND = Kind(collection="keys", path=_PATH, only="")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def list_keys(limit: Limit = 0, page_size: PageSize = 200, as_json: Json = False) -> None:
    """List API keys, oldest first; the keys themselves are known to their holders alone."""
    with open_suite() as suite:
        found = listed(suite, _PATH, "keys", limit=limit, page_size=page_size)
    columns = {
        "NAME": at("name"),
        "TITLE": at("title"),
        "USER": at("user"),
        "SCOPES": lambda key: " ".join(key.get("scopes", ())),
        "STATE": at("state"),
        "HINT": at("hint"),
        "ENDS": moment("expireTime"),
        "LAST USED": moment("lastUseTime"),
    }
    show_list(found, "keys", columns, as_json=as_json)


def show(
    name: Annotated[str, typer.Argument(help="`keys/ID`, or the ID alone.", metavar="NAME")], as_json: Json = False
) -> None:
    """Show one API key, without the key itself."""
    with open_suite() as suite:
        found = suite.get(f"/api/v1/{_KIND.full_name(name)}")
    if as_json:
        print_json(found)
    else:
        print_lines(_described(found))


def create(
    title: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        str, typer.Option(help="READ, REQUEST, OPERATE or ADMIN: each includes the ones before it.")
    ] = "READ",
    user: Annotated[str, typer.Option(help="Whose it is; as the title without.")] = "",
    expires_in: Annotated[str, typer.Option(help="How long it is good: 12h, 30d, 8w; for ever without.")] = "",
    request_id: Annotated[
        str, typer.Option(help="A UUID: asking again with it makes no second key, and shows none.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make an API key and print it: this once, and never again."""
    body: dict[str, Any] = {"title": title, "user": user, "scopes": [scope.upper()]}
    if expires_in:
        body["expireTime"] = _end(expires_in)
    with open_suite() as suite:
        made = suite.post(_PATH, body, requestId=request_id or None)
    if as_json:
        print_json(made)
    elif secret := made.get("secret"):
        print_lines([*_described(made), "", secret, "", "Keep it now: it is shown this once."])
    else:
        print_lines([*_described(made), "", "It was made by the same request before; the key is not shown again."])


def revoke(
    names: Annotated[list[str], typer.Argument(help="`keys/ID`, or the ID alone.", metavar="NAME")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Take API keys back, on every service within a second."""
    chosen = Chosen(names=names, filter="", yes=False, dry_run=dry_run)
    with open_suite() as suite:
        found = _KIND.find(suite, chosen)
        do_with_each(
            suite, found, "revoke", lambda name: suite.post(f"/api/v1/{name}:revoke"), dry_run=dry_run, as_json=as_json
        )


def _end(expires_in: str) -> str:
    given = _DURATION.fullmatch(expires_in)
    if given is None:
        raise typer.BadParameter(f"--expires-in: {expires_in!r} is no time such as 12h, 30d or 8w")
    try:
        end = datetime.now(UTC) + int(given[1]) * _UNITS[given[2]]
    except OverflowError:
        raise typer.BadParameter("--expires-in: that is no time that has an end") from None
    return end.isoformat(timespec="seconds")


def _described(key: Document) -> list[str]:
    lines = [f"{key['name']}  {key['title']}  {' '.join(key.get('scopes', ()))}  {key.get('state', '')}".rstrip()]
    fields = ("user", "hint", "creator", "createTime", "expireTime", "lastUseTime", "revokeTime")
    return lines + [f"  {field}: {key[field]}" for field in fields if key.get(field)]
