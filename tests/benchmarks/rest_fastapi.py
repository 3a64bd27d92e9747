"""`python -m tests.benchmarks.rest_fastapi PORT BACKEND`: what one writes by hand: FastAPI, pydantic, the stub."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import grpc
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_TIMEOUT = 10.0  # seconds


_Key = Annotated[str, Header()]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Track(_Model):
    disc: int = 0
    number: int
    title: str = Field(max_length=300)
    duration_ms: int = 0


class Album(_Model):
    artist: str = Field(max_length=300)
    title: str = Field(max_length=300)
    release_group_mbid: str = ""
    year: int = 0
    tracks: list[Track] = []
    release_mbid: str = ""


class Attempt(_Model):
    number: int
    source: str
    peer: str
    state: str
    bytes: int
    error: str
    reason: str
    start_time: datetime | None
    end_time: datetime | None
    peers: list[str]
    total_bytes: int
    score: dict[str, float]


class Progress(_Model):
    received_bytes: int
    total_bytes: int
    finished_count: int
    total_count: int
    bytes_per_second: int


class Failure(_Model):
    reason: str
    message: str


class LibraryFile(_Model):
    path: str
    size_bytes: int
    sha256: str


class AcquisitionIn(_Model):
    album: Album
    source: str = "SOURCE_UNSPECIFIED"
    priority: int = Field(default=0, ge=0, le=10)


class Acquisition(_Model):
    name: str
    album: Album
    source: str
    state: str
    failure: Failure | None
    attempts: list[Attempt]
    progress: Progress | None
    files: list[LibraryFile]
    next_step_time: datetime | None
    create_time: datetime | None
    update_time: datetime | None
    end_time: datetime | None
    etag: str
    priority: int
    fallback: str
    current_source: str
    paused: bool
    requester: str
    batch: str
    missing_tracks: list[Track]


def _time(message: Any, name: str) -> datetime | None:
    moment: Timestamp = getattr(message, name)
    return moment.ToDatetime(UTC) if message.HasField(name) else None


def _attempt(message: pb.Attempt) -> Attempt:
    return Attempt(
        number=message.number,
        source=pb.Source.Name(message.source),
        peer=message.peer,
        state=pb.Attempt.State.Name(message.state),
        bytes=message.bytes,
        error=message.error,
        reason=message.reason,
        start_time=_time(message, "start_time"),
        end_time=_time(message, "end_time"),
        peers=list(message.peers),
        total_bytes=message.total_bytes,
        score=dict(message.score),
    )


def _acquisition(message: pb.Acquisition) -> Acquisition:
    return Acquisition(
        name=message.name,
        album=Album.model_validate(message.album),
        source=pb.Source.Name(message.source),
        state=pb.Acquisition.State.Name(message.state),
        failure=Failure.model_validate(message.failure) if message.HasField("failure") else None,
        attempts=[_attempt(each) for each in message.attempts],
        progress=Progress.model_validate(message.progress) if message.HasField("progress") else None,
        files=[LibraryFile.model_validate(each) for each in message.files],
        next_step_time=_time(message, "next_step_time"),
        create_time=_time(message, "create_time"),
        update_time=_time(message, "update_time"),
        end_time=_time(message, "end_time"),
        etag=message.etag,
        priority=message.priority,
        fallback=pb.Source.Name(message.fallback),
        current_source=pb.Source.Name(message.current_source),
        paused=message.paused,
        requester=message.requester,
        batch=message.batch,
        missing_tracks=[Track.model_validate(each) for each in message.missing_tracks],
    )


def build(backend: str) -> FastAPI:
    """The application, before a service at `host:port`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with grpc.aio.insecure_channel(backend) as channel:
            app.state.stub = rpc.AcquisitionServiceStub(channel)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/api/v1/acquisitions/{acquisition_id}", response_model=Acquisition)
    async def get(acquisition_id: str, request: Request, x_api_key: _Key) -> Acquisition:
        wanted = pb.GetAcquisitionRequest(name=f"acquisitions/{acquisition_id}")
        return await _answered(request.app.state.stub.GetAcquisition, wanted, x_api_key)

    @app.post("/api/v1/acquisitions", response_model=Acquisition)
    async def create(asked: AcquisitionIn, request: Request, x_api_key: _Key) -> Acquisition:
        album = pb.Album(**asked.album.model_dump())
        wanted = pb.Acquisition(album=album, source=pb.Source.Value(asked.source), priority=asked.priority)
        call = request.app.state.stub.CreateAcquisition
        return await _answered(call, pb.CreateAcquisitionRequest(acquisition=wanted), x_api_key)

    return app


async def _answered(call: Any, wanted: Any, key: str) -> Acquisition:
    try:
        return _acquisition(await call(wanted, metadata=(("x-api-key", key),), timeout=_TIMEOUT))
    except grpc.aio.AioRpcError as error:
        raise HTTPException(502, error.details()) from error


if __name__ == "__main__":
    uvicorn.run(
        build(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
