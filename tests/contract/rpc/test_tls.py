"""Mutual TLS: who may call whom, and new certificates without a call lost."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc
from structlog.testing import capture_logs

from libs.clock import ManualClock
from libs.errors import Unavailable
from libs.rpc.client import bare_channel
from libs.rpc.options import client_options
from libs.rpc.tls import UnusableCertificate, open_certificates
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY, TlsFiles
from libs.telemetry import Telemetry
from tests.contract.rpc.conftest import SERVICE_TOKEN, Config, Net, call_raw, config_server
from tests.support.certificates import Papers
from tests.support.waiting import eventually

REQUEST = pb.GetSettingsRequest()
AUTHORITIES = trustme.CA(key_type=trustme.KeyType.ECDSA), trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def ours() -> trustme.CA:
    return AUTHORITIES[0]


@pytest.fixture
def theirs() -> trustme.CA:
    return AUTHORITIES[1]


@pytest.fixture
def papers(tmp_path: Path, ours: trustme.CA) -> Papers:
    return Papers(tmp_path / "own").issue(ours)


async def stub(net: Net, papers: Papers, address: str, **options: Any) -> rpc.ConfigServiceStub:
    return rpc.ConfigServiceStub(await net.channel(address, certificates=papers.open(**options)))


async def test_a_service_with_a_certificate_of_the_ca_may_call(net: Net, papers: Papers) -> None:
    server = await net.serve(Config(), certificates=papers.open())

    assert await (await stub(net, papers, server.address)).GetSettings(REQUEST)


@pytest.mark.parametrize("client", ["plain text", "no certificate", "a certificate of another CA"])
async def test_nobody_else_may(
    net: Net, papers: Papers, ours: trustme.CA, theirs: trustme.CA, tmp_path: Path, client: str
) -> None:
    stranger = Papers(tmp_path / "stranger").issue(theirs)
    stranger.trust(ours)
    credentials = {
        "plain text": grpc.local_channel_credentials(),
        "no certificate": grpc.ssl_channel_credentials(papers.authority.read_bytes()),
        "a certificate of another CA": stranger.open().current.channel,
    }
    server = await net.serve(Config(), certificates=papers.open())

    async with grpc.aio.secure_channel(server.address, credentials[client]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, "GetSettings", b"")

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_trusts_no_server_of_another_ca(
    net: Net, papers: Papers, theirs: trustme.CA, tmp_path: Path
) -> None:
    stranger = Papers(tmp_path / "stranger").issue(theirs)
    stranger.trust(*AUTHORITIES)
    server = await net.serve(Config(), certificates=stranger.open())

    with pytest.raises(Unavailable):
        await (await stub(net, papers, server.address)).GetSettings(REQUEST)


async def test_a_server_must_prove_the_name_that_it_is_called_by_or_the_one_that_is_set(
    net: Net, papers: Papers, ours: trustme.CA, tmp_path: Path
) -> None:
    elsewhere = Papers(tmp_path / "elsewhere").issue(ours, host="lockgroove.internal")
    server = await net.serve(Config(), certificates=elsewhere.open())

    with pytest.raises(Unavailable):
        await (await stub(net, papers, server.address)).GetSettings(REQUEST)
    assert await (await stub(net, papers, server.address, server_name="lockgroove.internal")).GetSettings(REQUEST)


class Seen(Config):
    """Notes the certificate of each caller."""

    def __init__(self) -> None:
        super().__init__(watch=self._twice)
        self.certificates: list[bytes] = []
        self.go_on = asyncio.Event()

    async def GetSettings(self, request: Any, context: Any) -> pb.Settings:
        self.certificates.append(context.auth_context()["x509_pem_cert"][0])
        return pb.Settings()

    async def _twice(self, request: Any) -> AsyncIterator[pb.Snapshot]:
        yield pb.Snapshot(revision=1)
        await self.go_on.wait()
        yield pb.Snapshot(revision=2)


async def test_certificates_and_ca_are_replaced_while_calls_and_streams_run(
    net: Net, papers: Papers, ours: trustme.CA, theirs: trustme.CA, tmp_path: Path
) -> None:
    seen, before = Seen(), papers.certificate.read_bytes()
    server = await net.serve(seen, certificates=papers.open())
    suite, ended = await stub(net, papers, server.address), asyncio.Event()
    outdated = await stub(net, Papers(tmp_path / "outdated").issue(ours), server.address)
    stream = aiter(suite.WatchSnapshots(pb.WatchSnapshotsRequest()))
    await anext(stream)

    async def keep_calling() -> None:
        while not ended.is_set():
            await suite.UpdateSettings(
                pb.UpdateSettingsRequest(settings=pb.Settings())
            )  # one that is never tried again
            await suite.GetSettings(REQUEST)

    async def is_seen() -> bool:
        return seen.certificates[-1:] == [papers.certificate.read_bytes()]

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(keep_calling())
        await eventually(is_seen)
        papers.trust(ours, theirs)
        papers.issue(theirs, ours)
        await eventually(is_seen)
        papers.trust(theirs)
        await suite.GetSettings(REQUEST)
        ended.set()
    seen.go_on.set()

    assert before in seen.certificates
    assert (await anext(stream)).revision == 2
    with pytest.raises(Unavailable):
        await outdated.GetSettings(REQUEST)


def rotating(address: str, papers: Papers) -> Any:
    return bare_channel(address, client_options(), certificates=papers.open())


async def call(channel: Any) -> None:
    await rpc.ConfigServiceStub(channel).GetSettings(REQUEST, metadata=[("x-api-key", SERVICE_TOKEN)])


async def test_an_older_channel_is_closed_when_a_newer_one_has_taken_over(
    net: Net, papers: Papers, ours: trustme.CA
) -> None:
    server = await net.serve(Config(), certificates=papers.open())
    async with rotating(server.address, papers) as channel:
        await call(channel)
        older = channel.leg

        papers.issue(ours)

        async def closed() -> bool:
            await call(channel)
            return bool(older.closed)

        await eventually(closed)
        assert not channel.leg.closed


async def test_a_certificate_that_servers_refuse_does_not_end_what_is_connected(
    net: Net, papers: Papers, theirs: trustme.CA, tmp_path: Path
) -> None:
    server = await net.serve(Config(), certificates=papers.open())
    own = Papers(tmp_path / "client").issue(*AUTHORITIES)
    async with rotating(server.address, own) as channel:
        await call(channel)

        own.issue(theirs, *AUTHORITIES)
        await call(channel)
        coming = channel.coming

        async def refused() -> bool:
            await call(channel)
            return coming.channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE

        await eventually(refused, every=0.01)
        await call(channel)


async def test_a_certificate_that_servers_refuse_does_not_take_over_when_they_restart(
    papers: Papers, theirs: trustme.CA, tmp_path: Path
) -> None:
    own = Papers(tmp_path / "client").issue(*AUTHORITIES)

    async def answers() -> bool:
        with suppress(grpc.aio.AioRpcError):
            await call(channel)
            return True
        return False

    async with config_server(Config(), listen="127.0.0.1:0", certificates=papers.open()) as server:
        channel = rotating(server.address, own)
        await call(channel)
        own.issue(theirs, *AUTHORITIES)
        await call(channel)
        coming = channel.coming.channel
        while coming.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await coming.wait_for_state_change(coming.get_state())
    async with channel:
        assert not await answers()
        async with config_server(Config(), listen=server.address, certificates=papers.open()):
            await eventually(answers, within=10)


def test_files_that_are_replaced_with_their_time_and_size_kept_are_seen(papers: Papers, ours: trustme.CA) -> None:
    certificates = papers.open()
    before, kept = certificates.current, papers.authority.stat()

    papers.trust(ours)
    os.utime(papers.authority, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    assert certificates.current is not before


@pytest.mark.parametrize("broken", ["certificate", "key", "authority"])
async def test_new_files_that_cannot_be_used_leave_the_old_ones_in_force(
    net: Net, papers: Papers, ours: trustme.CA, tmp_path: Path, broken: str
) -> None:
    certificates = papers.open()
    server = await net.serve(Config(), certificates=certificates)

    with capture_logs() as logs:
        Path(getattr(papers, broken)).write_text("not yet whole")
        for _ in range(3):
            await net.channel(server.address, certificates=certificates)
        client = await stub(net, Papers(tmp_path / "client").issue(ours), server.address)

        assert await client.GetSettings(REQUEST)
    assert [line["event"] for line in logs if line["event"].startswith("tls.")] == ["tls.new_files_unusable"]


def test_a_key_and_its_certificate_are_taken_together(papers: Papers, ours: trustme.CA, tmp_path: Path) -> None:
    certificates = papers.open()
    before, new = certificates.current, Papers(tmp_path / "new").issue(ours)

    papers.certificate.write_bytes(new.certificate.read_bytes())
    assert certificates.current is before
    papers.key.write_bytes(new.key.read_bytes())

    assert certificates.current is not before


@pytest.mark.parametrize("missing", [CERTIFICATE, KEY, AUTHORITY])
def test_all_three_files_are_needed(papers: Papers, missing: str) -> None:
    rest = {name: path for name, path in papers.environment.items() if name != missing}

    with pytest.raises(UnusableCertificate, match=f"{missing}: must be set beside"):
        open_certificates(TlsFiles.named(rest))


def test_without_any_there_is_no_tls() -> None:
    assert open_certificates(TlsFiles()) is None


@pytest.mark.parametrize(("variable", "file"), [(CERTIFICATE, "certificate"), (KEY, "key"), (AUTHORITY, "authority")])
def test_a_file_that_cannot_be_used_is_named_by_its_variable(papers: Papers, variable: str, file: str) -> None:
    Path(getattr(papers, file)).unlink()
    with pytest.raises(UnusableCertificate, match=f"{variable}: .* cannot be read: No such file"):
        open_certificates(TlsFiles.named(papers.environment))

    Path(getattr(papers, file)).write_text("no PEM")
    with pytest.raises(UnusableCertificate, match=f"{variable}: holds no "):
        open_certificates(TlsFiles.named(papers.environment))


def test_the_end_of_a_certificate_is_told_two_weeks_ahead(papers: Papers, ours: trustme.CA) -> None:
    ends = datetime(2027, 3, 1, tzinfo=UTC)
    clock = ManualClock(ends - timedelta(days=15))
    papers.issue(ours, ends=ends)

    with capture_logs() as logs:
        certificates = papers.open(clock=clock)
        assert certificates.current
        assert not logs
        clock.advance(timedelta(days=2))
        for _ in range(3):
            assert certificates.current

    assert [line["event"] for line in logs] == ["tls.certificate_ends_soon"]


def test_the_end_of_a_certificate_is_a_metric(papers: Papers) -> None:
    metrics = Telemetry("tests").metrics
    certificates = open_certificates(TlsFiles.named(papers.environment), metrics=metrics)

    assert certificates
    ends = certificates.current.ends.timestamp()
    assert metrics.registry.get_sample_value("lockgroove_tls_certificate_expiry_timestamp_seconds") == ends


@pytest.mark.parametrize(("listen", "told"), [("127.0.0.1:0", 0), ("localhost:0", 0), ("suite.localhost:0", 1)])
async def test_plain_text_where_others_may_listen_is_told(net: Net, listen: str, told: int) -> None:
    """The last one is a name: it is loopback, but only the resolver knows that."""
    with capture_logs() as logs:
        await net.serve(Config(), listen=listen)

    assert [line["event"] for line in logs].count("server.plain_text") == told


async def test_with_certificates_any_address_is_fine(net: Net, papers: Papers) -> None:
    with capture_logs() as logs:
        await net.serve(Config(), listen="suite.localhost:0", certificates=papers.open())

    assert "server.plain_text" not in [line["event"] for line in logs]
