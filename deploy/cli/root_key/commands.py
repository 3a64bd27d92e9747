"""`lockgroove keys`: API keys, and the root key under which all secrets are sealed."""

import typer

from deploy.cli.output import Json, print_json
from deploy.cli.resources import keys

app = typer.Typer(
    name="keys", help="API keys, and the root key, under which all secrets are sealed.", no_args_is_help=True
)
app.command("list")(keys.list_keys)
app.command("show")(keys.show)
app.command("create")(keys.create)
app.command("revoke")(keys.revoke)


@app.command("rotate-root")
def rotate_root(as_json: Json = False) -> None:
    """Make a new root key, and keep the one before it until every service knows the new one."""
    from deploy.cli.root_key import replacing

    _tell(replacing.rotate_root(), as_json=as_json)


@app.command("forget-previous")
def forget_previous(as_json: Json = False) -> None:
    """Forget the root key before the one in force, if no database needs it any more."""
    from deploy.cli.root_key import replacing

    _tell(replacing.forget_previous(), as_json=as_json)


def _tell(message: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"message": message})
    else:
        typer.echo(message)
