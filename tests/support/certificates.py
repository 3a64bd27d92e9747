"""Certificates for mutual TLS on loopback, in files that a test can replace."""

from datetime import datetime, timedelta
from pathlib import Path

import trustme

from libs.clock import Clock, SystemClock
from libs.rpc.tls import Certificates
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY

LOOPBACK = "127.0.0.1"


class Papers:
    """The three files of one process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "service.crt"
        self.key = folder / "service.key"
        self.authority = folder / "ca.crt"

    def issue(
        self, issuer: trustme.CA, *others: trustme.CA, host: str = LOOPBACK, ends: datetime | None = None
    ) -> "Papers":
        """Writes a certificate of the issuer, and trusts those of it and of the others."""
        own = issuer.issue_cert(host, not_after=ends)
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
        self.key.write_bytes(own.private_key_pem.bytes())
        self.trust(issuer, *others)
        return self

    def trust(self, *authorities: trustme.CA) -> None:
        """Writes whose certificates are trusted."""
        self.authority.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))

    def open(self, *, server_name: str | None = None, clock: Clock | None = None) -> Certificates:
        """The certificates of a process that looks at the files whenever it needs them."""
        return Certificates(
            self.certificate,
            self.key,
            self.authority,
            server_name=server_name,
            clock=clock or SystemClock(),
            looks=timedelta(),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What names them to a process."""
        return {CERTIFICATE: str(self.certificate), KEY: str(self.key), AUTHORITY: str(self.authority)}
