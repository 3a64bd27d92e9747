"""KeyService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import keys_pb2 as pb
from lockgroove.config.v1 import keys_pb2_grpc as rpc

from libs.clock import Clock
from libs.rpc import context as call
from services.config.domain.keys import Key
from services.config.keys import convert
from services.config.keys.keeper import Issued, KeyKeeper
from services.config.keys.store import SqlKeyStore

Context = ServicerContext[Any, Any]


class KeyServicer(rpc.KeyServiceServicer):
    """The API of the keys."""

    def __init__(self, keeper: KeyKeeper, store: SqlKeyStore, *, clock: Clock) -> None:
        self._keeper = keeper
        self._store = store
        self._clock = clock

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.Key:
        return self._issued(await self._keeper.create(convert.new_key_from_pb(request), actor=_actor()))

    async def GetKey(self, request: pb.GetKeyRequest, context: Context) -> pb.Key:
        return self._shown(await self._store.get(convert.key_id(request.name)))

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        found, token = await self._store.page(size=request.page_size, token=request.page_token)
        return pb.ListKeysResponse(keys=map(self._shown, found), next_page_token=token)

    async def UpdateKey(self, request: pb.UpdateKeyRequest, context: Context) -> pb.Key:
        key_id, terms = convert.key_id(request.key.name, field="key.name"), convert.terms_after(request)
        return self._shown(await self._keeper.change(key_id, terms, etag=request.key.etag, actor=_actor()))

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.Key:
        key_id, overlap = convert.key_id(request.name), convert.overlap_of(request)
        return self._issued(await self._keeper.rotate(key_id, overlap=overlap, etag=request.etag, actor=_actor()))

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.Key:
        key_id = convert.key_id(request.name)
        return self._shown(await self._keeper.revoke(key_id, etag=request.etag, actor=_actor()))

    async def GetCaller(self, request: pb.GetCallerRequest, context: Context) -> pb.Caller:
        return convert.caller_to_pb(call.principal.get())

    async def ReportKeyUses(self, request: pb.ReportKeyUsesRequest, context: Context) -> pb.ReportKeyUsesResponse:
        await self._store.note_uses(convert.uses_from_pb(request.uses, self._clock.now()))
        return pb.ReportKeyUsesResponse()

    def _shown(self, key: Key) -> pb.Key:
        return convert.key_to_pb(key, now=self._clock.now())

    def _issued(self, issued: Issued) -> pb.Key:
        return convert.key_to_pb(issued.key, now=self._clock.now(), secret=issued.secret)


def _actor() -> str:
    return call.principal.get().name
