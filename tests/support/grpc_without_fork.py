"""Import this before grpc: it then leaves forks alone.

Tests that root runs start PostgreSQL's tools by fork (to become another user), and gRPC's fork handlers, which guard
children that go on using gRPC, sometimes hang or kill such a child.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
