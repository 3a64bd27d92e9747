"""Searches between the domain and the protos."""

from collections.abc import Callable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from lockgroove.acquisition.v1 import searches_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.acquisition import convert
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.searching import NewSearch, Offered, Question, Search

_COLLECTION = "searches/"


def search_id(name: str) -> str:
    """The id in `searches/{search}`."""
    return name.removeprefix(_COLLECTION)


def new_search_from_pb(request: pb.CreateSearchRequest, *, owner: str, new_id: Callable[[str], str]) -> NewSearch:
    """What a caller asks. Raises InvalidArgument, naming the field."""
    wanted = request.search
    if bool(wanted.query.strip()) == wanted.HasField("album"):
        raise InvalidArgument.field("search", "must have a query or an album, and not both")
    if wanted.HasField("album"):
        question = Question(album=convert.album_from_pb(wanted.album, "search.album"))
    else:
        question = Question(query=_query(wanted.query))
    return NewSearch(id=new_id("sch"), owner=owner, question=question, request_id=request.request_id.lower() or None)


def search_to_pb(search: Search) -> pb.Search:
    """The search as its owner sees it."""
    album = search.question.album
    return pb.Search(
        name=f"{_COLLECTION}{search.id}",
        query=search.question.query,
        album=None if album is None else convert.album_to_pb(album),
        state=pb.Search.State.Value(search.state),
        problem=search.problem,
        offers=map(_offer_to_pb, search.offers),
        offer_count=search.offer_count,
        create_time=timestamp(search.created),
        expire_time=timestamp(search.expires),
        update_time=timestamp(search.updated),
        etag=search.etag,
    )


def _query(text: str) -> str:
    query = " ".join(text.split())
    if not query.isprintable() or not any(char.isalnum() for char in query):
        raise InvalidArgument.field("search.query", "must have a word that can be searched for")
    return query


def _offer_to_pb(offer: Offered) -> pb.Offer:
    candidate = offer.candidate
    return pb.Offer(
        peer=candidate.peer,
        folder=candidate.folder,
        free_slot=candidate.free_slot,
        queue_length=candidate.queue_length,
        bytes_per_second=candidate.speed,
        files=map(_file_to_pb, candidate.files),
        score=offer.score,
    )


def _file_to_pb(file: RemoteFile) -> pb.OfferedFile:
    return pb.OfferedFile(
        path=file.path,
        size_bytes=file.size,
        duration=_duration(file.duration),
        bitrate=file.bitrate or 0,
        sample_rate=file.sample_rate or 0,
        bit_depth=file.bit_depth or 0,
    )


def _duration(time: timedelta | None) -> Duration | None:
    if time is None:
        return None
    duration = Duration()
    duration.FromTimedelta(time)
    return duration
