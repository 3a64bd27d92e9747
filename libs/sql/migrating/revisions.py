"""The revisions of a service, read from their files without running them.

The checksum of a revision is that of its way up, the function with all that it uses of its file: comments, docstrings,
layout, order and the way down may change later. It is made from the syntax tree, but not from Python's own dump of it,
which differs by version.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from libs.sql.errors import MigrationFailed

_WAY_UP: Final = "upgrade"
_WAY_DOWN: Final = "downgrade"
_REASON: Final = "not_additive"
_SPELLING: Final = frozenset({"kind", "type_comment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One step of a schema. `not_additive` is why it may do more than add, empty when it only adds."""

    id: str
    title: str
    path: Path
    checksum: str
    reversible: bool
    not_additive: str = ""


@cache
def read_revisions(package: str) -> tuple[Revision, ...]:
    """The revisions of a package, oldest first, read once; raises MigrationFailed for a chain with a gap."""
    revisions, last = list[Revision](), None
    for path in sorted((_folder(package) / "versions").glob("[0-9]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        facts = dict(_constants(tree))
        revision = _revision(path, tree, facts)
        if facts.get("down_revision") != last or not path.name.startswith(f"{revision.id}_"):
            raise MigrationFailed(f"{path.name} does not follow revision {last}: this installation is damaged")
        revisions.append(revision)
        last = revision.id
    return tuple(revisions)


def checksum(tree: ast.Module) -> str:
    """The SHA-256 of what a revision does on its way up."""
    return sha256("\n".join(sorted(map(_told, _way_up(tree)))).encode()).hexdigest()


def up_to(revisions: Sequence[Revision], last: str) -> list[Revision]:
    """Those that a schema at `last` has had."""
    return [revision for revision in revisions if revision.id <= last]


def _revision(path: Path, tree: ast.Module, facts: dict[str, object]) -> Revision:
    title = (ast.get_docstring(tree) or path.stem).partition("\n")[0]
    return Revision(
        id=str(facts.get("revision")),
        title=title,
        path=path,
        checksum=checksum(tree),
        reversible=any(_WAY_DOWN in _defined(statement) for statement in tree.body),
        not_additive=str(facts.get(_REASON, "")),
    )


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise MigrationFailed(f"there is no package of migrations named {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            yield ast.unparse(statement.targets[0]), statement.value.value


def _way_up(tree: ast.Module) -> list[ast.stmt]:
    """The function that applies the revision, and what it uses of its file."""
    found, names, before = list[ast.stmt](), {_WAY_UP}, -1
    while len(found) > before:
        before = len(found)
        found = [statement for statement in tree.body if names & _defined(statement)]
        names |= {node.id for statement in found for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return found


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Assign):
        return {ast.unparse(target) for target in statement.targets}
    return {statement.name} if isinstance(statement, ast.FunctionDef | ast.ClassDef) else set()


def _told(node: object) -> str:
    if isinstance(node, list):
        return f"[{','.join(_told(each) for each in node if not _says_nothing(each))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if name not in _SPELLING]
    told = (f"{name}={_told(value)}" for name, value in fields if value is not None and value != [])
    return f"{type(node).__name__}({','.join(told)})"


def _says_nothing(node: object) -> bool:
    """A docstring, or what else has no effect."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
