"""`python -m deploy.cli.reference`: the reference of all commands, printed from the commands themselves as Markdown."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from deploy.cli.exits import Exit
from deploy.cli.main import app

_INTRODUCTION = """\
# Commands

Made from the commands by `python -m deploy.cli.reference`; do not edit.

`lockgroove` is in `.venv/bin`. Commands read the same environment as the services ([operations](operations.md)). Those
about settings, acquisitions, events and keys talk to the running suite at `LOCKGROOVE_URL`, without it to this
machine's, with the key in `LOCKGROOVE_API_KEY` or `LOCKGROOVE_ADMIN_KEY`.

- No command asks questions, so all of them work from cron and over SSH without a terminal. What is dangerous wants
  `--yes`.
- With `--json` there is one document on standard output and nothing else; `watch` prints one document on each line, for
  as long as it runs. Progress is on standard error.
- An error is a line on standard error, and with `--json` the document too, unless there was one before it:
  `{"error": {"reason": "NO_KEY", "message": "…", "violations": []}}`. The exit status is the same.
- Secrets are never taken from the command line, which others may read in the list of processes: they come from files,
  from standard input (`-`) or from the environment.
- A command that does something with several things tells what became of each, and ends with 1 if it could not be done
  with one of them.

```sh
lockgroove settings set lidarr.url=http://nas:8686 acquisition.fallback=LIDARR
printf %s "$API_KEY" | lockgroove settings set lidarr.apiKey --from-file -
lockgroove acquisitions request "The Placeholders" "Lorem" --wait
lockgroove acquisitions list --state FAILED --limit 0 --json | jq -r '.acquisitions[].name'
lockgroove acquisitions retry --filter 'createTime > "2026-01-01T00:00:00Z"' --dry-run
lockgroove events dead-letters --groups
```

[Coming from Kima](coming-from-kima.md) tells of `lockgroove import kima` step by step.

## Exit statuses

| Status | Name | Meaning |
| --- | --- | --- |
"""


def reference() -> str:
    """The whole page."""
    command: Any = get_command(app)  # typer's own copy of click has no types to tell
    statuses = "\n".join(f"| {status.value} | `{status.name}` | {told} |" for status, told in _statuses())
    return "\n".join([f"{_INTRODUCTION}{statuses}\n", *_sections("lockgroove", command)])


def _statuses() -> Iterator[tuple[Exit, str]]:
    """The statuses with the sentences behind them, which exist in the source alone."""
    definition = ast.parse(inspect.getsource(Exit)).body[0]
    assert isinstance(definition, ast.ClassDef)
    for before, after in zip(definition.body, definition.body[1:], strict=False):
        match before, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(told))):
                yield Exit[name], told


def _sections(path: str, group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield f"## {path} {name}\n\n{_prose(command.help)}\n"
            yield from _sections(f"{path} {name}", command)
        else:
            level = "##" if path == "lockgroove" else "###"
            yield f"{level} {path} {name}\n\n{_prose(command.help)}\n"
            yield from _parameters(path, name, command)


def _parameters(path: str, name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    yield f"```text\n{' '.join([path, name, *map(_usage, arguments), *(['[OPTIONS]'] if options else [])])}\n```\n"
    rows = [(_usage(each), each) for each in arguments] + [(_names(each), each) for each in options]
    if rows:
        yield "| Parameter | Meaning | Default |\n| --- | --- | --- |"
        yield from (f"| `{spelled}` | {_cell(each.help)} | {_default(each)} |" for spelled, each in rows)
        yield ""


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    many = "..." if argument.nargs == -1 else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _names(option: Any) -> str:
    names = " / ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} VALUE"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is True:
        return f"`{parameter.opts[0]}`"
    if parameter.required or default in (None, "", (), [], False) or parameter.param_type_name == "argument":
        return ""
    return f"`{default}`"


def _prose(text: str | None) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text or ""))


def _cell(text: str | None) -> str:
    return _prose(text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
