"""Lists, page by page or item by item (AIP-158)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar


class Page(Protocol):
    """An answer that may not be the last."""

    @property
    def next_page_token(self) -> str:
        """What asks for the next one; empty on the last."""
        ...


# Any: a message that has the `page_token` of the list's request.
Request = TypeVar("Request", bound=Any)
P = TypeVar("P", bound=Page)
Item = TypeVar("Item")


async def pages(method: Callable[[Request], Awaitable[P]], request: Request) -> AsyncIterator[P]:
    """Every page from the one that is asked for, a call each; `request` stays as it is."""
    asked = type(request)()
    asked.CopyFrom(request)
    while True:
        page = await method(asked)
        yield page
        if not page.next_page_token:
            return
        asked.page_token = page.next_page_token


async def items(
    method: Callable[[Request], Awaitable[P]], request: Request, of: Callable[[P], Iterable[Item]]
) -> AsyncIterator[Item]:
    """Every item of all pages; `of` says where a page has them: `lambda page: page.acquisitions`."""
    async for page in pages(method, request):
        for item in of(page):
            yield item
