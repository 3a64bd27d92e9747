"""The tables of the acquisition service, around the rows of the work engine.

An acquisition is a row of `work` (state, version, due, dedup key) and one of `acquisition` with the same id (album,
source, failure, times). Attempts, files and what binds it to Lidarr are child rows.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

from libs.leases.tables import lease_table
from libs.outbound.tables import cached_answer_table, call_slot_table
from libs.sql.types import Json, OrderedText, Serial, UtcMillis
from libs.sql.watermarks import watermark_table
from libs.work.tables import work_tables

metadata = MetaData()

engine = work_tables(metadata)
lease = lease_table(metadata)
watermark = watermark_table(metadata)
call_slot = call_slot_table(metadata)
cached_answer = cached_answer_table(metadata)


# Every change of the switch of all (`*` in `work_queue`), by the version that it gave it: who, why and when.
switch_change = Table(
    "switch_change",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("changed", UtcMillis, nullable=False),
)


def _owner() -> Column[str]:
    return Column("acquisition", OrderedText, ForeignKey("acquisition.id", ondelete="CASCADE"), primary_key=True)


acquisition = Table(
    "acquisition",
    metadata,
    Column("id", OrderedText, ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
    Column("artist", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("release_group_mbid", Text, nullable=False),  # empty where the caller named none
    Column("album", Json, nullable=False),
    Column("source", Text, nullable=False),
    Column("created", UtcMillis, nullable=False),
    Column("ended", UtcMillis),
    Column("failure_reason", Text, nullable=False),  # of one that has not FAILED: why its first source was given up
    Column("failure_message", Text, nullable=False),
    Column("current_source", Text, nullable=False, server_default=""),  # the row of an older version: as `source`
    Column("fallback", Text, nullable=False, server_default=""),  # empty: nothing comes after `source`
    Column("owner", Text, nullable=False, server_default=""),  # who asked first
    Column("batch", OrderedText),
    Column("missing", Json),  # the tracks that a partial album lacks
    Index("acquisition_by_ended", "ended"),
    Index("acquisition_by_batch", "batch"),
    Index("acquisition_by_created", "created", "id"),
    Index("acquisition_by_release_group", "release_group_mbid"),
)

attempt = Table(
    "attempt",
    metadata,
    _owner(),
    Column("number", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # empty unless FAILED
    Column("error", Text, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("finished_count", Integer, nullable=False),
    Column("total_count", Integer, nullable=False),
    Column("started", UtcMillis, nullable=False),
    Column("ended", UtcMillis),
    Column("peers", Json),  # all who deliver a part; of an older version: only `peer`
    Column("score", Json),  # why the offer was taken, in parts
    Column("bytes_per_second", BigInteger, nullable=False, server_default="0"),
    Column("files", Json),  # how far each file is
    CheckConstraint("number > 0", name="attempt_number_counts_from_one"),
    CheckConstraint("(state = 'RUNNING') = (ended IS NULL)", name="attempt_ends_when_it_stops_running"),
)
_running = attempt.c.state == "RUNNING"
Index("attempt_running", attempt.c.acquisition, sqlite_where=_running, postgresql_where=_running)

library_file = Table(
    "library_file",
    metadata,
    _owner(),
    Column("position", Integer, primary_key=True),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
)

# A caller's request id and the acquisition that it first made (AIP-155).
request = Table(
    "request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("acquisition", OrderedText, ForeignKey("acquisition.id", ondelete="CASCADE"), nullable=False),
    Column("created", UtcMillis, nullable=False),
    Index("request_by_acquisition", "acquisition"),
)

# What binds an acquisition to Lidarr: the album there, and the downloads that were grabbed for it.
lidarr_album = Table(
    "lidarr_album",
    metadata,
    _owner(),
    Column("album_id", BigInteger, nullable=False),
    Column("release_group_mbid", Text, nullable=False),
    Index("lidarr_album_by_album", "album_id"),
    Index("lidarr_album_by_release_group", "release_group_mbid"),
)

lidarr_download = Table(
    "lidarr_download",
    metadata,
    _owner(),
    Column("download_id", Text, primary_key=True),
    Index("lidarr_download_by_download", "download_id"),
)

# When searches were sent on Soulseek, which bears only so many in a time.
soulseek_search = Table(
    "soulseek_search",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("sent", UtcMillis, nullable=False, index=True),
)

# What is remembered of those who deliver files. `failures` count within a day of the first of them.
peer = Table(
    "peer",
    metadata,
    Column("name", OrderedText, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("first_failure", UtcMillis),
    Column("last_failure", UtcMillis),
    Column("last_failure_reason", Text, nullable=False),
    Column("blocked_until", UtcMillis),
    Column("manual", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("updated", UtcMillis, nullable=False),
)

# Searches that people sent, with what came of them, for an hour.
search = Table(
    "search",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("album", Json),
    Column("state", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("request_id", Text),
    Column("fingerprint", Text, nullable=False),  # of what was asked, to find the same search again
    Column("version", BigInteger, nullable=False),
    Column("offers", Json, nullable=False),
    Column("offer_count", Integer, nullable=False),
    Column("runner", Text),  # the process that collects the answers
    Column("created", UtcMillis, nullable=False),
    Column("updated", UtcMillis, nullable=False),
    Column("expires", UtcMillis, nullable=False),
    Index("search_by_request", "owner", "request_id", unique=True),
    Index("search_by_owner", "owner", "created"),
    Index("search_by_expiry", "expires"),
)

# A batch is a row of `work` (state, version) and one of `batch` with the same id; its albums are child rows.
batch = Table(
    "batch",
    metadata,
    Column("id", OrderedText, ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("source", Text, nullable=False),  # empty: as the settings say
    Column("fallback", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("request_id", Text),
    Column("fingerprint", Text, nullable=False),
    Column("created", UtcMillis, nullable=False),
    Column("ended", UtcMillis),
    Column("failure_reason", Text, nullable=False),
    Column("failure_message", Text, nullable=False),
    Column("watch", Json, nullable=False),  # for how long nothing of it has moved
    Index("batch_by_request", "request_id", unique=True),
    Index("batch_by_created", "created", "id"),
    Index("batch_by_ended", "ended"),
)

batch_album = Table(
    "batch_album",
    metadata,
    Column("batch", OrderedText, ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("album", Json, nullable=False),
    Column("key", Text, nullable=False),  # what two wishes for the same album share
    Column("acquisition", OrderedText),  # no foreign key: acquisitions leave earlier than batches
    Column("own", Boolean, nullable=False),  # made for the batch
    Column("state", Text, nullable=False),  # of BatchAlbum
    Column("failure_reason", Text, nullable=False),  # of one that is ACTIVE: it is given up
    Column("failure_message", Text, nullable=False),
    Index("batch_album_by_acquisition", "acquisition"),
)
