"""The tables of the acquisition service, around the rows of the work engine.

An acquisition is a row of `work` (state, version, due, dedup key) and one of `acquisition` with the same id (album,
source, failure, times). Attempts, files and what binds it to Lidarr are child rows.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from libs.leases.tables import lease_table
from libs.sql.types import Json, OrderedText, Serial, UtcMillis
from libs.work.tables import work_tables

metadata = MetaData()

engine = work_tables(metadata)
lease = lease_table(metadata)


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
    Column("failure_reason", Text, nullable=False),  # empty unless FAILED
    Column("failure_message", Text, nullable=False),
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
    CheckConstraint("number > 0", name="attempt_number_counts_from_one"),
    CheckConstraint("(state = 'RUNNING') = (ended IS NULL)", name="attempt_ends_when_it_stops_running"),
)

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
