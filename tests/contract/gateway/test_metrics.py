"""Metrics of several services in one text."""

import asyncio

from starlette.requests import Request

from libs.telemetry import Telemetry
from libs.telemetry.exposition import OFFSET
from services.gateway.status.metrics import Origin, SuiteMetrics, merge

FIRST = """# HELP a_total As.
# TYPE a_total counter
a_total{kind="x"} 1.0
a_total{kind="{y} z"} 2.0
# HELP b B.
# TYPE b gauge
b 3.0
"""
SECOND = """# HELP a_total As.
# TYPE a_total counter
a_total{kind="x"} 4.0
"""


def test_samples_of_a_family_stand_together_below_one_head() -> None:
    text = merge({Origin("one"): FIRST, Origin("two"): SECOND, Origin("three"): None})

    assert text.splitlines() == [
        "# HELP a_total As.",
        "# TYPE a_total counter",
        'a_total{service="one",kind="x"} 1.0',
        'a_total{service="one",kind="{y} z"} 2.0',
        'a_total{service="two",kind="x"} 4.0',
        "# HELP b B.",
        "# TYPE b gauge",
        'b{service="one"} 3.0',
        "# HELP lockgroove_up Whether the service answered when asked for its metrics.",
        "# TYPE lockgroove_up gauge",
        'lockgroove_up{service="one"} 1',
        'lockgroove_up{service="two"} 1',
        'lockgroove_up{service="three"} 0',
    ]


async def test_those_who_come_while_metrics_are_collected_share_the_next_collection() -> None:
    asked = 0

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n# HELP asked So often.\nasked {asked}\n".encode())
        writer.close()

    async with await asyncio.start_server(tell, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        metrics = SuiteMetrics(Telemetry("gateway"), {"one": f"127.0.0.1:{port - OFFSET}"})
        pages = await asyncio.gather(*[metrics.page(Request({"type": "http"})) for _ in range(50)])
        last = await metrics.page(Request({"type": "http"}))

    told = [b'asked{service="one"} 1' in bytes(page.body) for page in pages]
    assert (told, asked) == ([True] + [False] * 49, 3)
    assert b'asked{service="one"} 3' in bytes(last.body)


async def test_a_service_that_dies_while_it_tells_counts_as_one_that_is_down() -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.0 200 OK\r\n\r\n# HELP half Cut.\nhalf{kind="x')
        writer.close()

    async with await asyncio.start_server(die, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        metrics = SuiteMetrics(Telemetry("gateway"), {"one": f"127.0.0.1:{port - OFFSET}"})
        page = bytes((await metrics.page(Request({"type": "http"}))).body)

    assert b'lockgroove_up{service="one"} 0' in page
    assert b"half" not in page
