"""Nobody can listen in: mutual TLS works as it is configured, or gRPC stays on this machine."""

from collections.abc import Iterator

from deploy.cli.environment.finding import Environment, Finding, errors, warning
from deploy.cli.environment.processes import listening
from libs.addresses import is_loopback
from libs.errors import AppError
from libs.rpc.tls import open_certificates
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY, TlsFiles


def transport(environment: Environment) -> Iterator[Finding]:
    """Certificates that cannot be used, and plain text on a network."""
    files = TlsFiles.named(environment)
    try:
        open_certificates(files)
    except AppError as fault:
        yield from errors(fault, CERTIFICATE)
    if not any(files.by_variable.values()):
        for name, address in listening(environment).items():
            if not is_loopback(address):
                text = f"gRPC goes over the network in plain text: set {CERTIFICATE}, {KEY} and {AUTHORITY}"
                yield warning(name, text)
