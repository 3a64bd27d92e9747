"""Lists of resources: a table for people, one document for programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from deploy.cli.output import print_json, print_table
from deploy.cli.suite import Document, Suite

Columns = Mapping[str, Callable[[Document], object]]


def listed(suite: Suite, path: str, collection: str, *, limit: int, page_size: int, **asked: Any) -> list[Document]:
    """Up to `limit` of a list (0: all of it), read page by page."""
    size = min(page_size, limit) if limit else page_size
    found = suite.pages(path, collection, pageSize=size, **asked)
    return list(islice(found, limit or None))


def show_list(found: Sequence[Document], collection: str, columns: Columns, *, as_json: bool) -> None:
    """Prints a list under the collection's name, or as a table."""
    if as_json:
        print_json({collection: found})
    else:
        print_table(list(columns), rows(found, columns))


def rows(found: Iterable[Document], columns: Columns) -> Iterable[list[object]]:
    """The rows of a table, one for each resource."""
    for each in found:
        yield [cell(each) for cell in columns.values()]


def at(path: str) -> Callable[[Document], object]:
    """Reads what lies at a path of a document, empty where there is nothing: `album.artist`."""

    def read(document: Document) -> object:
        found: Any = document
        for name in path.split("."):
            found = found.get(name, "") if isinstance(found, dict) else ""
        return found

    return read


def moment(path: str) -> Callable[[Document], object]:
    """Reads a time, to the second."""
    read = at(path)
    return lambda document: str(read(document))[:19].replace("T", " ")
