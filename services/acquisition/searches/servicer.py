"""SearchService: translate, call, translate."""

from collections.abc import Callable
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import searches_pb2 as pb
from lockgroove.acquisition.v1 import searches_pb2_grpc as rpc

from libs.rpc import context as call
from services.acquisition.domain.searching import NothingToSearch
from services.acquisition.searches import convert
from services.acquisition.searches.store import SqlSearches

Context = ServicerContext[Any, Any]


class SearchServicer(rpc.SearchServiceServicer):
    """The API of searches. `configured` tells whether there is a network to ask, `begun` that there is a search."""

    def __init__(
        self,
        searches: SqlSearches,
        *,
        configured: Callable[[], bool],
        begun: Callable[[], None],
        new_id: Callable[[str], str],
    ) -> None:
        self._searches = searches
        self._configured = configured
        self._begun = begun
        self._new_id = new_id

    async def CreateSearch(self, request: pb.CreateSearchRequest, context: Context) -> pb.Search:
        new = convert.new_search_from_pb(request, owner=call.principal.get().name, new_id=self._new_id)
        if not self._configured():
            raise NothingToSearch("There is no network to search. Set up soulseek or slskd in the settings.")
        search = await self._searches.create(new)
        self._begun()
        return convert.search_to_pb(search)

    async def GetSearch(self, request: pb.GetSearchRequest, context: Context) -> pb.Search:
        search = await self._searches.get(convert.search_id(request.name), call.principal.get().name)
        return convert.search_to_pb(search)

    async def ListSearches(self, request: pb.ListSearchesRequest, context: Context) -> pb.ListSearchesResponse:
        page = await self._searches.page(
            call.principal.get().name, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListSearchesResponse(
            searches=map(convert.search_to_pb, page.searches), next_page_token=page.next_token
        )

    async def DeleteSearch(self, request: pb.DeleteSearchRequest, context: Context) -> pb.DeleteSearchResponse:
        await self._searches.delete(convert.search_id(request.name), call.principal.get().name)
        return pb.DeleteSearchResponse()
