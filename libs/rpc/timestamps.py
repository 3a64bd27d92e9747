"""Moments as protos hold them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(moment: datetime | None) -> Timestamp | None:
    """The moment as a message; None, which leaves a field empty, for None."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made
