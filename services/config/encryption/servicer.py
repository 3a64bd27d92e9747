"""EncryptionService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import encryption_pb2 as pb
from lockgroove.config.v1 import encryption_pb2_grpc as rpc

from libs.rpc import context as call
from services.config.domain.encryption import DataKeys
from services.config.encryption import convert

Context = ServicerContext[Any, Any]


class EncryptionServicer(rpc.EncryptionServiceServicer):
    """The API of encryption."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    async def GetEncryption(self, request: pb.GetEncryptionRequest, context: Context) -> pb.Encryption:
        return convert.encryption_to_pb(await self._keys.get())

    async def RotateDataKeys(self, request: pb.RotateDataKeysRequest, context: Context) -> pb.Encryption:
        asked = await self._keys.rotate(request.request_id.lower() or None, actor=call.principal.get().name)
        return convert.encryption_to_pb(asked)

    async def ReportKeyring(self, request: pb.ReportKeyringRequest, context: Context) -> pb.ReportKeyringResponse:
        await self._keys.keep(convert.keyring_from_pb(request.keyring))
        return pb.ReportKeyringResponse()
