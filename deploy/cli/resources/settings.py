"""`lockgroove settings`: read, change and move the settings of the running suite."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.output import Json, print_json, print_lines, print_table
from deploy.cli.resources.lists import listed, moment
from deploy.cli.resources.options import Limit, PageSize
from deploy.cli.resources.private_files import write_private
from deploy.cli.resources.values import Catalogue, Spec, assignments, nested, value_at
from deploy.cli.suite import Document, Suite, open_suite

app = typer.Typer(name="settings", help="Read and change the settings of the running suite.", no_args_is_help=True)

_PATH = "/api/v1/settings"
_LARGEST = 1 << 24  # bytes of a file that is read

OnePath = Annotated[str, typer.Argument(help="A setting, `lidarr.url`, or a subject, `lidarr`.", metavar="PATH")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, and change nothing.")]
Etag = Annotated[str, typer.Option("--etag", help="Only if the settings still have this etag.")]
PassphraseFile = Annotated[
    str, typer.Option("--passphrase-file", help="The file with the passphrase for secrets; - is standard input.")
]


@app.command("get")
def get_settings(path: OnePath = "", as_json: Json = False) -> None:
    """Show the values in force, and where each comes from. Secrets only show whether they are set."""
    with open_suite() as suite:
        specs = _catalogue(suite).below(path)
        settings = suite.get(_PATH)
    found = [_shown(spec, settings) for spec in specs]
    if as_json:
        print_json({"settings": found, "etag": settings.get("etag", "")})
    else:
        print_table(("SETTING", "VALUE", "FROM"), [(each["path"], _text(each), each["source"]) for each in found])


@app.command("set")
def set_settings(
    values: Annotated[list[str], typer.Argument(help="`lidarr.url=http://nas:8686`.", metavar="PATH=VALUE")],
    from_file: Annotated[
        str, typer.Option("--from-file", help="Take the value of the one PATH from a file; - is standard input.")
    ] = "",
    etag: Etag = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Change settings, all of them or none. Secrets come from a file or standard input, never from the command line."""
    with open_suite() as suite:
        catalogue = _catalogue(suite)
        if from_file:
            if len(values) != 1 or "=" in values[0]:
                raise typer.BadParameter("--from-file takes one PATH, without a value")
            spec = catalogue.get(values[0])
            changed = {spec.path: spec.value(read_text(from_file))}
        else:
            changed = assignments(catalogue, values)
        _change(suite, changed, etag=etag, dry_run=dry_run, as_json=as_json)


@app.command("unset")
def unset_settings(
    paths: Annotated[list[str], typer.Argument(help="Settings: `lidarr.url`.", metavar="PATH")],
    etag: Etag = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Forget stored values: the environment variable, or the default, is in force again."""
    with open_suite() as suite:
        catalogue = _catalogue(suite)
        changed = {catalogue.get(path).path: None for path in paths}
        _change(suite, changed, etag=etag, dry_run=dry_run, as_json=as_json)


@app.command()
def describe(path: OnePath = "", as_json: Json = False) -> None:
    """Say what settings mean, what they may be, and which environment variable stands in for each."""
    with open_suite() as suite:
        specs = _catalogue(suite).below(path)
    if as_json:
        print_json({"settings": [spec.document for spec in specs]})
    else:
        print_lines(line for spec in specs for line in _described(spec))


@app.command()
def history(
    path: OnePath = "",
    limit: Limit = 20,
    page_size: PageSize = 200,
    as_json: Json = False,
) -> None:
    """List changes of settings, newest first: who, when and what; secrets by fingerprints."""
    with open_suite() as suite:
        if path:
            _catalogue(suite).get(path)
        revisions = listed(
            suite, f"{_PATH}/revisions", "revisions", limit=limit, page_size=page_size, setting=path or None
        )
    if as_json:
        print_json({"revisions": revisions})
        return
    when = moment("changeTime")
    print_table(
        ("REVISION", "WHEN", "WHO", "SETTING", "VALUE"),
        [
            (revision["revision"], when(revision), revision.get("actor", ""), change["path"], _change_text(change))
            for revision in revisions
            for change in revision.get("changes", ())
        ],
    )


@app.command("export")
def export_settings(
    to: Annotated[Path | None, typer.Option("--to", help="The file to write; standard output without.")] = None,
    passphrase_file: PassphraseFile = "",
) -> None:
    """Write the stored values as one document; with a passphrase the secrets too, sealed with it."""
    body = {"passphrase": read_text(passphrase_file)} if passphrase_file else {}
    with open_suite() as suite:
        document = suite.post(f"{_PATH}:export", body)
    if to is None:
        print_json(document)
    else:
        write_private(to, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


@app.command("import")
def import_settings(
    document: Annotated[str, typer.Argument(help="The file that `export` wrote; - is standard input.", metavar="FILE")],
    passphrase_file: PassphraseFile = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget stored values that the document does not hold; needs --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do forget them.")] = False,
    etag: Etag = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take the values of an exported document over, all of them or none."""
    if replace and not (yes or dry_run):
        raise typer.BadParameter("--replace forgets values that are stored now: say --yes, or --dry-run to look first")
    if document == passphrase_file == "-":
        raise typer.BadParameter("standard input can be the document or the passphrase, not both")
    body: Document = {"document": _document(document), "replace": replace, "validateOnly": dry_run}
    if passphrase_file:
        body["passphrase"] = read_text(passphrase_file)
    with open_suite() as suite:
        settings = suite.post(f"{_PATH}:import", body | ({"etag": etag} if etag else {}))
    _tell_etag("checked, not changed" if dry_run else "imported", settings, as_json=as_json)


def read_text(file: str) -> str:
    """What a file or standard input holds, without the line's end; raises BadParameter where it is no such text."""
    try:
        raw = sys.stdin.buffer.read(_LARGEST) if file == "-" else _read(Path(file))
        text = raw.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} holds no text (UTF-8)") from None
    if not text:
        raise typer.BadParameter(f"{file} is empty")
    return text


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)


def _document(file: str) -> Document:
    try:
        document = json.loads(read_text(file))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{file} holds no document of `lockgroove settings export`")
    return document


def _catalogue(suite: Suite) -> Catalogue:
    return Catalogue(suite.get(f"{_PATH}:describe"))


def _change(suite: Suite, changed: Document, *, etag: str, dry_run: bool, as_json: bool) -> None:
    body = nested(changed) | ({"etag": etag} if etag else {})
    settings = suite.patch(_PATH, body, validateOnly="true" if dry_run else None)
    _tell_etag("checked, not changed" if dry_run else f"changed {', '.join(changed)}", settings, as_json=as_json)


def _tell_etag(what: str, settings: Document, *, as_json: bool) -> None:
    if as_json:
        print_json({"result": what, "etag": settings.get("etag", "")})
    else:
        print_lines([what])


def _shown(spec: Spec, settings: Document) -> Document:
    source = (settings.get("sources") or {}).get(spec.path, "")
    if spec.secret:
        return {
            "path": spec.path,
            "secret": True,
            "isSet": spec.path in settings.get("secretsSet", ()),
            "source": source,
        }
    return {"path": spec.path, "value": value_at(settings, spec.path), "source": source}


def _text(shown: Document) -> str:
    if shown.get("secret"):
        return "(set, not shown)" if shown["isSet"] else ""
    value = shown["value"]
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _change_text(change: Document) -> str:
    if change.get("reset"):
        return "(forgotten)"
    return str(change.get("value") or f"secret {change.get('fingerprint', '')}")


def _described(spec: Spec) -> Iterable[str]:
    told: Document = spec.document
    yield f"{spec.path}  {_kind_text(told)}{'  secret' if spec.secret else ''}"
    yield f"  {told.get('help', '')}"
    if told.get("defaultValue"):
        yield f"  default: {told['defaultValue']} {told.get('unit', '')}".rstrip()
    yield f"  environment: {told.get('environment', '')}"


def _kind_text(told: Document) -> str:
    parts: list[Any] = [str(told.get("type", "TEXT")).lower(), " or ".join(told.get("choices", ()))]
    parts += [
        f"from {told['minimum']}" if told.get("minimum") else "",
        f"to {told['maximum']}" if told.get("maximum") else "",
    ]
    parts += [f"like {told['pattern']}" if told.get("pattern") else ""]
    return " ".join(part for part in parts if part)
