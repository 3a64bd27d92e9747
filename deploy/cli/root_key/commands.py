"""`lockgroove keys`: commands around the root key."""

import typer

app = typer.Typer(name="keys", help="Replace the root key, under which all secrets are sealed.", no_args_is_help=True)


@app.command("rotate-root")
def rotate_root() -> None:
    """Make a new root key, and keep the one before it until every service knows the new one."""
    from deploy.cli.root_key import replacing

    typer.echo(replacing.rotate_root())


@app.command("forget-previous")
def forget_previous() -> None:
    """Forget the root key before the one in force, if no database needs it any more."""
    from deploy.cli.root_key import replacing

    typer.echo(replacing.forget_previous())
