"""Mutual TLS between services: a certificate, its key and the CA of all, read from files again when those change."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Gauge

from libs.clock import Clock, SystemClock
from libs.errors import InvalidArgument
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY, TlsFiles
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics

log = get_logger()

LOOKS = timedelta(seconds=1)  # between two looks at the files
SOON = timedelta(days=14)

_Stamp = tuple[tuple[int, int, int, int], ...] | None


class UnusableCertificate(InvalidArgument):
    """A file for mutual TLS is not named, cannot be read, or does not fit the others."""

    reason = "UNUSABLE_CERTIFICATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key and the CA, as both sides of gRPC take it, and when the certificate ends."""

    ends: datetime
    server: grpc.ServerCertificateConfiguration = field(repr=False)
    channel: grpc.ChannelCredentials = field(repr=False)


class Certificates:
    """The identity in force. New files that cannot be used, or do not fit yet, leave the one before in force.

    May be used from any thread: gRPC asks for it in one of its own. Raises UnusableCertificate at the start.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        authority: Path,
        *,
        server_name: str | None = None,
        clock: Clock,
        looks: timedelta = LOOKS,
    ) -> None:
        self.server_name = server_name
        self._files = {CERTIFICATE: certificate, KEY: key, AUTHORITY: authority}
        self._clock = clock
        self._looks = looks.total_seconds()
        self._lock = threading.Lock()
        self._stamp = _stamp(self._files)
        self._identity = _read(self._files)
        self._looked_at = clock.monotonic()
        self._told_of: Identity | None = None
        self._tell_of_the_end()

    @property
    def current(self) -> Identity:
        """The identity in force, after a look at the files if the last one was a while ago."""
        with self._lock:
            if self._clock.monotonic() - self._looked_at >= self._looks:
                self._look()
                self._looked_at = self._clock.monotonic()
            return self._identity

    def tell(self, metrics: Metrics) -> None:
        """Adds the gauge that says when the certificate in force ends."""
        expiry_gauge(metrics).set_function(lambda: self.current.ends.timestamp())

    def _look(self) -> None:
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._identity = _read(self._files)
            except UnusableCertificate as error:
                log.error("tls.new_files_unusable", reason=error.message)
            else:
                log.info("tls.certificate_replaced", ends=self._identity.ends.isoformat())
        self._tell_of_the_end()

    def _tell_of_the_end(self) -> None:
        if self._told_of is not self._identity and self._clock.now() >= self._identity.ends - SOON:
            self._told_of = self._identity
            log.warning("tls.certificate_ends_soon", ends=self._identity.ends.isoformat())


def expiry_gauge(metrics: Metrics) -> Gauge:
    """Says when the certificate in force ends; there is none without certificates."""
    return metrics.gauge(
        "tls_certificate_expiry_timestamp_seconds", "When the certificate for mutual TLS ends, in Unix time."
    )


def open_certificates(
    files: TlsFiles, *, metrics: Metrics | None = None, clock: Clock | None = None
) -> Certificates | None:
    """The certificates of this process; None where no file is named. Raises UnusableCertificate."""
    match files:
        case TlsFiles(certificate=Path() as certificate, key=Path() as key, authority=Path() as authority):
            clock = clock or SystemClock()
            certificates = Certificates(certificate, key, authority, server_name=files.server_name, clock=clock)
            if metrics:
                certificates.tell(metrics)
            return certificates
    missing = [name for name, path in files.by_variable.items() if path is None]
    if len(missing) == len(files.by_variable):
        return None
    others = " and ".join(sorted(files.by_variable.keys() - set(missing)))
    raise UnusableCertificate.field(
        missing[0], f"must be set beside {others}: mutual TLS needs all three", reason=UnusableCertificate.reason
    )


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """For a server that only clients with a certificate of the CA may call; a new connection is under the newest."""
    given = certificates.current

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        before, given = given, certificates.current
        return None if given is before else given.server

    # None is for "as before", which its annotations have forgotten.
    return grpc.dynamic_ssl_server_credentials(given.server, newer, require_client_authentication=True)  # type: ignore[arg-type]


def _stamp(files: Mapping[str, Path]) -> _Stamp:
    """Changes whenever a file does, or who may read it; None while one cannot be seen."""
    try:
        found = [path.stat() for path in files.values()]
    except OSError:
        return None
    return tuple((each.st_mtime_ns, each.st_ctime_ns, each.st_size, each.st_ino) for each in found)


def _read(files: Mapping[str, Path]) -> Identity:
    certificate, key, authority = (_content(name, path) for name, path in files.items())
    own = _certificates(CERTIFICATE, certificate)[0]
    _certificates(AUTHORITY, authority)
    try:
        fits = load_pem_private_key(key, password=None).public_key() == own.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(KEY, "holds no private key as PEM without a password") from error
    if not fits:
        raise _unusable(KEY, f"is the key of another certificate than the one of {CERTIFICATE}")
    return Identity(
        ends=own.not_valid_after_utc,
        server=grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority),
        channel=grpc.ssl_channel_credentials(authority, private_key=key, certificate_chain=certificate),
    )


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unusable(name, f"{path} cannot be read: {error.strerror}") from error


def _certificates(name: str, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise _unusable(name, "holds no certificate as PEM") from error


def _unusable(variable: str, what: str) -> InvalidArgument:
    return UnusableCertificate.field(variable, what, reason=UnusableCertificate.reason)
