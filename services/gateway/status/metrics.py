"""`/api/metrics`: the metrics of the whole suite, each sample with the service that it comes from."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from libs.addresses import addresses_of
from libs.telemetry import Telemetry
from libs.telemetry.exposition import metrics_address
from libs.telemetry.metrics import CONTENT_TYPE
from services.gateway.http.answers import Page

TIMEOUT = 2.0  # seconds for a service to answer
_LONGEST = 8 * 1024 * 1024  # bytes of an answer

UP = "lockgroove_up", "Whether the service answered when asked for its metrics."
_UP_HEAD = (f"# HELP {UP[0]} {UP[1]}", f"# TYPE {UP[0]} gauge")


class Origin(NamedTuple):
    """Where samples come from; a `replica` is named where there are several."""

    service: str
    replica: str = ""

    @property
    def labels(self) -> str:
        """As Prometheus has them."""
        service = f'service="{self.service}"'
        return f'{service},replica="{self.replica}"' if self.replica else service


class SuiteMetrics:
    """Collects from this process and from each replica's `/metrics`; `targets` are where the services answer gRPC.

    Whoever comes while they are collected shares the next collection: nobody is limited here, and however many ask,
    they keep no webhook waiting.
    """

    def __init__(self, telemetry: Telemetry, targets: Mapping[str, str]) -> None:
        self._telemetry = telemetry
        self._replicas = {name: addresses_of(target) for name, target in targets.items()}
        self._collecting = asyncio.Lock()
        self._begun = 0
        self._collected = (0, "")  # which collection, and what it found

    async def page(self, _request: Request) -> Response:
        """The endpoint."""
        return Page(await self._current(), media_type=CONTENT_TYPE)

    async def _current(self) -> str:
        """What a collection found that began after now."""
        asked = self._begun
        async with self._collecting:
            if self._collected[0] <= asked:
                self._begun += 1
                self._collected = (self._begun, await self._collect())
        return self._collected[1]

    async def _collect(self) -> str:
        origins = [
            (Origin(name, address if len(replicas) > 1 else ""), metrics_address(address))
            for name, replicas in self._replicas.items()
            for address in replicas
        ]
        texts = await asyncio.gather(*(_scraped(host, port) for _, (host, port) in origins))
        found = {origin: text for (origin, _), text in zip(origins, texts, strict=True)}
        found[Origin(self._telemetry.service)] = self._telemetry.metrics.render().decode()
        return merge(found)


def merge(texts: Mapping[Origin, str | None]) -> str:
    """One text of many: the samples of a family together, below one head; None is a service that is down."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for origin, text in texts.items():
        _enter(families, origin.labels, (text or "").splitlines())
    lines = [line for head, samples in families.values() for line in (*head, *samples)]
    up = [f"{UP[0]}{{{origin.labels}}} {0 if text is None else 1}" for origin, text in texts.items()]
    return "\n".join([*lines, *_UP_HEAD, *up]) + "\n"


def _enter(families: dict[str, tuple[list[str], list[str]]], labels: str, lines: Iterable[str]) -> None:
    head: list[str] = []
    samples: list[str] = []
    for line in lines:
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            new = name not in families
            all_head, samples = families.setdefault(name, ([], []))
            head = all_head if new else []  # a head that is there already is not wanted again
        if line.startswith("#"):
            head.append(line)
        elif line:
            samples.append(_labelled(line, labels))


def _labelled(sample: str, labels: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f"{name}{{{labels}{'' if rest.startswith('}') else ','}{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{labels}}} {value}"


async def _scraped(host: str, port: int) -> str | None:
    """The metrics of one service; None when it does not answer in time."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /metrics HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                answer = await _read_all(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    is_whole = body.endswith(b"\n")  # half a sample would cost Prometheus those of all services
    return body.decode(errors="replace") if is_whole and b" 200 " in head.split(b"\r\n", 1)[0] else None


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    while len(answer) < _LONGEST and (piece := await reader.read(65536)):
        answer += piece
    return answer
