"""Between the messages of BatchService and the words of the domain."""

from lockgroove.acquisition.v1 import acquisition_pb2 as shared
from lockgroove.acquisition.v1 import batches_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.acquisition import convert
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.batch import USUAL_PRIORITY, Batch, BatchAlbum, Counts
from services.acquisition.domain.batches import BatchPage, Change, NewBatch

_COLLECTION = "batches/"
_CHANGEABLE = ("title", "priority")
_SOURCES = {shared.Source.Value(source): source for source in Source}


def id_from_name(name: str) -> str:
    """The id in `batches/{batch}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field("batch.name", "must be batches/{batch}")
    return name.removeprefix(_COLLECTION)


def new_batch_from_pb(request: pb.CreateBatchRequest, *, actor: str) -> NewBatch:
    """What a caller asks for. Raises InvalidArgument, naming the field."""
    wanted = request.batch
    return NewBatch(
        albums=[
            convert.album_from_pb(each.album, f"batch.albums[{index}].album")
            for index, each in enumerate(wanted.albums)
        ],
        title=wanted.title.strip(),
        source=_SOURCES.get(wanted.source),
        fallback=_SOURCES.get(wanted.fallback),
        priority=wanted.priority or USUAL_PRIORITY,
        owner=actor,
        request_id=request.request_id.lower() or None,
    )


def albums_from_pb(request: pb.AddBatchAlbumsRequest) -> list[Album]:
    """The albums to add. Raises InvalidArgument, naming the field."""
    return [convert.album_from_pb(album, f"albums[{index}]") for index, album in enumerate(request.albums)]


def change_from_pb(request: pb.UpdateBatchRequest) -> Change:
    """What is to change: as the mask says, else what the batch in the request has. Raises InvalidArgument."""
    wanted = request.batch
    paths = list(request.update_mask.paths) or [name for name in _CHANGEABLE if getattr(wanted, name)]
    for path in paths:
        if path not in (*_CHANGEABLE, "*"):
            raise InvalidArgument.field(
                "update_mask", f"{path} cannot be changed: only title and priority can", reason="FIELD_NOT_CHANGEABLE"
            )
    named = _CHANGEABLE if "*" in paths else paths
    return Change(
        title=wanted.title.strip() if "title" in named else None,
        priority=wanted.priority or USUAL_PRIORITY if "priority" in named else None,
    )


def query_from_pb(request: pb.ListBatchesRequest) -> Query:
    """Which batches to list."""
    return Query(
        filter=request.filter,
        order_by=request.order_by,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def page_to_pb(page: BatchPage) -> pb.ListBatchesResponse:
    """A page of batches as the API shows it."""
    batches = [_shown(batch, counts) for batch, counts in page.batches]
    return pb.ListBatchesResponse(batches=batches, next_page_token=page.next_token)


def batch_to_pb(batch: Batch) -> pb.Batch:
    """The batch as the API shows it, with its albums."""
    shown = _shown(batch, batch.counts)
    shown.albums.extend(map(_album_to_pb, batch.albums))
    return shown


def _shown(batch: Batch, counts: Counts) -> pb.Batch:
    return pb.Batch(
        name=batch.name,
        title=batch.title,
        source=_source_to_pb(batch.source),
        fallback=_source_to_pb(batch.fallback),
        priority=batch.priority,
        state=pb.Batch.State.Value(batch.state),
        total_count=counts.total,
        completed_count=counts.completed,
        failed_count=counts.failed,
        failure=convert.failure_to_pb(batch.failure),
        requester=batch.owner,
        create_time=timestamp(batch.created),
        update_time=timestamp(batch.updated),
        end_time=timestamp(batch.ended),
        etag=batch.etag,
    )


def _album_to_pb(album: BatchAlbum) -> pb.BatchAlbum:
    return pb.BatchAlbum(
        album=convert.album_to_pb(album.album),
        acquisition=f"acquisitions/{album.acquisition}" if album.acquisition else "",
        state=pb.BatchAlbum.State.Value(album.state),
        failure=None if album.active else convert.failure_to_pb(album.failure),
    )


def _source_to_pb(source: Source | None) -> shared.Source.ValueType:
    return shared.SOURCE_UNSPECIFIED if source is None else shared.Source.Value(source)
