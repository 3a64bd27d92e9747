"""Tokens and providers between the domain and the protos."""

from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import oauth_pb2 as pb

from libs.rpc.timestamps import timestamp
from services.config.domain.oauth import Token
from services.config.domain.providers import Provider
from services.config.oauth.authorizer import Begun, SentBack
from services.config.oauth.revoker import Revoked


def provider_to_pb(provider: Provider, *, configured: bool, redirect: str) -> pb.Provider:
    """A provider as users see it."""
    return pb.Provider(
        service=provider.name,
        title=provider.title,
        configured=configured,
        scopes=provider.scopes,
        redirect_url=redirect,
    )


def begun_to_pb(begun: Begun) -> pb.Authorization:
    """What a user has to do."""
    return pb.Authorization(authorization_url=begun.url, expire_time=timestamp(begun.ends))


def sent_back_from_pb(request: pb.CompleteAuthorizationRequest) -> SentBack:
    """What came back with a user."""
    return SentBack(state=request.state, code=request.code, error=request.error)


def token_to_pb(token: Token) -> pb.TokenStatus:
    """How tokens stand."""
    expires_in = Duration()
    expires_in.FromTimedelta(token.left)
    return pb.TokenStatus(
        service=token.owner.provider,
        user_id=token.owner.user,
        status=pb.TokenStatus.Status.Value(token.status.value),
        is_expired=token.is_expired,
        expire_time=timestamp(token.expires_at),
        last_refresh_time=timestamp(token.last_refresh_at),
        refresh_count=token.refresh_count,
        recent_failure_count=token.recent_failures,
        scope=token.scope,
        needs_authorization=token.needs_authorization,
        last_error=token.last_error,
        expires_in=expires_in,
    )


def revoked_to_pb(revoked: Revoked) -> pb.RevokeTokensResponse.Revoked:
    """Tokens that are good no more."""
    owner = revoked.owner
    return pb.RevokeTokensResponse.Revoked(service=owner.provider, user_id=owner.user, at_provider=revoked.at_provider)
