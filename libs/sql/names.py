"""The spelling of fields in filters and orders: as in the protos, or as in JSON."""

import re

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def proto_name(name: str) -> str:
    """`createTime` and `create_time` are the same field: REST clients see the first, gRPC clients the second."""
    return _CAPITAL.sub(r"_\1", name).lower()
