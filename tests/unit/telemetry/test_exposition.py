"""/metrics as Prometheus and the gateway read it."""

import asyncio

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.addresses import NotAnAddress
from libs.telemetry import exposition
from libs.telemetry.exposition import MetricsPortTaken, metrics_address, open_exposition
from libs.telemetry.metrics import Metrics
from tests.support.ports import free_ports
from tests.support.waiting import eventually

LISTEN = "127.0.0.1:0"


async def exchange(port: int, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines if line), body


async def test_every_metric_is_there_with_its_prefix() -> None:
    metrics = Metrics()
    metrics.counter("imports", "Albums that were imported.", ["source"]).labels("lidarr").inc(3)
    metrics.gauge("queue_size", "Jobs that wait.").set(7)
    metrics.histogram("import_seconds", "How long imports took.").observe(0.2)

    async with open_exposition(metrics, LISTEN) as port:
        _, _, body = await exchange(port, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")

    samples = {
        (sample.name, sample.labels.get("source")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["lockgroove_imports_total", "lidarr"] == 3
    assert samples["lockgroove_queue_size", None] == 7
    assert samples["lockgroove_import_seconds_count", None] == 1


async def test_the_answer_says_what_it_is_and_how_long() -> None:
    async with open_exposition(Metrics(), LISTEN) as port:
        status, headers, body = await exchange(port, b"GET /metrics?name=x HTTP/1.1\r\n\r\n")

    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        (b"\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ],
)
async def test_there_is_nothing_else(request_head: bytes, status: str) -> None:
    async with open_exposition(Metrics(), LISTEN) as port:
        assert (await exchange(port, request_head))[0] == status


@pytest.mark.parametrize("junk", [b"", b"GET /metr", b"x" * 100_000, b"\x16\x03\x01\x00\r\n"])
async def test_junk_is_not_answered_and_does_no_harm(junk: bytes) -> None:
    async with open_exposition(Metrics(), LISTEN) as port:
        try:
            answered = await exchange(port, junk)
        except ConnectionError:
            answered = ("", {}, b"")
        good = await exchange(port, b"GET /metrics HTTP/1.1\r\n\r\n")

    assert answered[0] == ""
    assert good[0] == "HTTP/1.1 200 OK"


async def test_who_asks_and_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge(Metrics):
        def render(self) -> bytes:
            return bytes(64_000_000)

    monkeypatch.setattr(exposition, "_TIMEOUT", 0.1)
    async with open_exposition(Huge(), LISTEN) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")

        async def only_listens() -> bool:
            ours = [each for each in psutil.Process().net_connections("tcp") if each.laddr.port == port]
            return [each.status for each in ours] == [psutil.CONN_LISTEN]

        await eventually(only_listens, within=10)
        writer.transport.abort()


async def test_a_taken_port_is_named() -> None:
    (port,) = free_ports(1)
    async with open_exposition(Metrics(), f"127.0.0.1:{port}"):
        with pytest.raises(MetricsPortTaken, match=f"cannot listen on 127.0.0.1:{port + 1000}"):
            async with open_exposition(Metrics(), f"127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 51051)),
        ("[::1]:50051", ("::1", 51051)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("127.0.0.1:65000", ("127.0.0.1", 0)),
    ],
)
def test_metrics_are_a_thousand_ports_above(listen: str, address: tuple[str, int]) -> None:
    assert metrics_address(listen) == address


@pytest.mark.parametrize("listen", ["127.0.0.1", "host:port", ":50051", "127.0.0.1:70000", "127.0.0.1:"])
def test_what_is_no_address_is_told(listen: str) -> None:
    with pytest.raises(NotAnAddress, match="expected host:port"):
        metrics_address(listen)
