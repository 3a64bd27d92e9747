"""OAuthService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import oauth_pb2 as pb
from lockgroove.config.v1 import oauth_pb2_grpc as rpc

from libs.rpc import context as call
from libs.rpc.auth import ScopeMissing
from libs.rpc.timestamps import timestamp
from services.config.domain.oauth import Owner
from services.config.domain.providers import Providers
from services.config.oauth import convert
from services.config.oauth.accounts import Accounts
from services.config.oauth.authorizer import Authorizer
from services.config.oauth.refresher import Refresher
from services.config.oauth.revoker import Revoker
from services.config.oauth.store import Selection, SqlTokens

Context = ServicerContext[Any, Any]


class OAuthServicer(rpc.OAuthServiceServicer):
    """The API of tokens at providers. Everybody has to do with his own; those of others need the scope ADMIN."""

    def __init__(
        self,
        tokens: SqlTokens,
        authorizer: Authorizer,
        refresher: Refresher,
        revoker: Revoker,
        accounts: Accounts,
        *,
        providers: Providers,
    ) -> None:
        self._tokens = tokens
        self._authorizer = authorizer
        self._refresher = refresher
        self._revoker = revoker
        self._accounts = accounts
        self._providers = providers

    async def DescribeProviders(
        self, request: pb.DescribeProvidersRequest, context: Context
    ) -> pb.DescribeProvidersResponse:
        return pb.DescribeProvidersResponse(
            providers=[
                convert.provider_to_pb(
                    each,
                    configured=self._accounts.is_configured(each),
                    redirect=self._authorizer.redirect_url(each),
                )
                for each in self._providers.all()
            ]
        )

    async def BeginAuthorization(self, request: pb.BeginAuthorizationRequest, context: Context) -> pb.Authorization:
        caller = call.principal.get()
        owner = Owner(provider=request.service, user=caller.name)
        return convert.begun_to_pb(await self._authorizer.begin(owner, session=caller.session))

    async def CompleteAuthorization(self, request: pb.CompleteAuthorizationRequest, context: Context) -> pb.TokenStatus:
        back, session = convert.sent_back_from_pb(request), call.principal.get().session
        token = await self._authorizer.complete(request.service, back, session=session)
        return convert.token_to_pb(token)

    async def GetTokenStatus(self, request: pb.GetTokenStatusRequest, context: Context) -> pb.TokenStatus:
        return convert.token_to_pb(await self._tokens.get(self._owner(request)))

    async def ListTokenStatuses(
        self, request: pb.ListTokenStatusesRequest, context: Context
    ) -> pb.ListTokenStatusesResponse:
        tokens, next_token = await self._tokens.page(size=request.page_size, token=request.page_token)
        return pb.ListTokenStatusesResponse(tokens=map(convert.token_to_pb, tokens), next_page_token=next_token)

    async def RefreshToken(self, request: pb.RefreshTokenRequest, context: Context) -> pb.TokenStatus:
        seen = await self._tokens.get(self._owner(request))
        return convert.token_to_pb(await self._refresher.refresh(seen))

    async def RevokeTokens(self, request: pb.RevokeTokensRequest, context: Context) -> pb.RevokeTokensResponse:
        revoked = await self._revoker.revoke(_selection(request))
        return pb.RevokeTokensResponse(revoked=map(convert.revoked_to_pb, revoked))

    async def IssueAccessToken(
        self, request: pb.IssueAccessTokenRequest, context: Context
    ) -> pb.IssueAccessTokenResponse:
        owner = Owner(provider=self._providers.get(request.service).name, user=request.user_id)
        await self._refresher.usable(owner)
        token, ends = await self._tokens.access(owner)
        return pb.IssueAccessTokenResponse(access_token=token, expire_time=timestamp(ends))

    def _owner(self, request: pb.GetTokenStatusRequest | pb.RefreshTokenRequest) -> Owner:
        return Owner(provider=self._providers.get(request.service).name, user=_user(request.user_id))


def _selection(request: pb.RevokeTokensRequest) -> Selection:
    """Raises ScopeMissing."""
    if request.all:
        _check_admin()
        return Selection(provider=request.service or None)
    return Selection(provider=request.service or None, user=_user(request.user_id))


def _user(asked: str) -> str:
    """Whose tokens the caller may have to do with; raises ScopeMissing."""
    caller = call.principal.get()
    if asked not in ("", caller.name):
        _check_admin()
    return asked or caller.name


def _check_admin() -> None:
    """Raises ScopeMissing unless the caller may have to do with the tokens of everybody."""
    if not call.principal.get().may(api.ADMIN):
        raise ScopeMissing("tokens of other users need the scope ADMIN", metadata={"scope": "ADMIN"})
