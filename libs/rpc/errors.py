"""AppError over the wire and back: a status code, one ErrorInfo, and BadRequest or RetryInfo where they say more."""

from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # typed, but not marked so

from libs.errors import (
    AlreadyExists,
    AppError,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)

M = TypeVar("M", bound=Message)

DOMAIN = "lockgroove.internal"
DETAILS = "grpc-status-details-bin"
INTERNAL_MESSAGE = "internal error"

_LONGEST_MESSAGE = 1000  # characters
_RETRY_AFTER = timedelta(seconds=1)  # for a service that is down: it is restarted at once
_LARGEST_STATUS = 6000  # bytes: trailers above 8 KiB are refused on the way

_CODES: dict[type[AppError], grpc.StatusCode] = {
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    Conflict: grpc.StatusCode.ABORTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    Internal: grpc.StatusCode.INTERNAL,
}
_KINDS: dict[grpc.StatusCode, type[AppError]] = {
    **{code: kind for kind, code in _CODES.items()},
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.CANCELLED: Unavailable,  # by the other side: our own cancellation is a CancelledError
}


def code_of(error: AppError) -> grpc.StatusCode:
    """The status code of an error, by the nearest class of the tree."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), grpc.StatusCode.INTERNAL)


def to_status(error: AppError) -> status_pb2.Status:
    """The error as google.rpc.Status, small enough for trailers. An Internal keeps its text to itself."""
    code = code_of(error)
    inside = code is grpc.StatusCode.INTERNAL
    message = INTERNAL_MESSAGE if inside else error.message[:_LONGEST_MESSAGE]
    status = status_pb2.Status(code=_number(code), message=message)
    metadata = {} if inside else error.metadata
    _add(status, error_details_pb2.ErrorInfo(reason=error.code_reason, domain=DOMAIN, metadata=metadata))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        _add(status, retry)
    if error.violations:
        _add_violations(status, error.violations)
    return status


def from_status(status: status_pb2.Status) -> AppError:
    """The error that a status stands for; what has no ErrorInfo keeps the reason of its class."""
    kind = _KINDS.get(_CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN), Internal)
    info = _find(status, error_details_pb2.ErrorInfo)
    request = _find(status, error_details_pb2.BadRequest)
    retry = _find(status, error_details_pb2.RetryInfo)
    return kind(
        status.message,
        metadata=dict(info.metadata) if info else None,
        violations=[_violation(each) for each in request.field_violations] if request else (),
        retry_after=retry.retry_delay.ToTimedelta() if retry else None,
        reason=info.reason if info else None,
    )


def from_rpc_error(error: grpc.aio.AioRpcError, method: str) -> AppError:
    """The error that a failed call of `package.Service/Method` stands for."""
    sent = _sent_status(error)
    if sent is not None:
        return from_status(sent)
    code, metadata = error.code(), {"method": method}
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):  # gRPC's own texts name addresses
        service = method.partition("/")[0]
        return Unavailable(f"{service} cannot be reached", metadata={"service": service}, retry_after=_RETRY_AFTER)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{method} did not answer in time", metadata=metadata)
    return _KINDS.get(code, Internal)(error.details() or code.name, metadata=metadata)


def _sent_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS and isinstance(value, bytes):
            with suppress(DecodeError):
                return status_pb2.Status.FromString(value)
    return None


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])


_CODE_BY_NUMBER = {_number(code): code for code in grpc.StatusCode}


def _add(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def _add_violations(status: status_pb2.Status, violations: tuple[Violation, ...]) -> None:
    """As many violations, from the first on, as trailers can hold."""
    room = _LARGEST_STATUS - status.ByteSize()
    request = error_details_pb2.BadRequest()
    for each in violations:
        request.field_violations.add(field=each.field, description=each.description, reason=each.reason)
        if request.ByteSize() > room:
            del request.field_violations[-1]
            break
    if request.field_violations:
        _add(status, request)


def _violation(sent: error_details_pb2.BadRequest.FieldViolation) -> Violation:
    return Violation(field=sent.field, description=sent.description, reason=sent.reason)


def _find(status: status_pb2.Status, kind: type[M]) -> M | None:
    for detail in status.details:
        found = kind()
        if detail.Is(kind.DESCRIPTOR) and detail.Unpack(found):
            return found
    return None
