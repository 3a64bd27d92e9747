"""Schemes out of their protos."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from google.protobuf.json_format import ParseDict
from lockgroove.webhooks.v1 import sources_pb2 as pb

from libs.errors import InvalidArgument
from services.webhooks.domain.source import Source, SourceConfig, configured
from services.webhooks.domain.verification.generic import Algorithm, Encoding, Hmac
from services.webhooks.domain.verification.matching import TOLERANCE
from services.webhooks.domain.verification.plain import Basic, HeaderToken, Loopback, SecretUrl
from services.webhooks.domain.verification.providers import GitHub, Shopify, Slack, Stripe
from services.webhooks.domain.verification.scheme import Scheme
from services.webhooks.domain.verification.standard import StandardWebhooks
from services.webhooks.sources.record import Draft
from services.webhooks.sources.signatures import ed25519

_ALGORITHMS = {
    pb.Verification.Hmac.ALGORITHM_UNSPECIFIED: Algorithm.SHA256,
    pb.Verification.Hmac.SHA256: Algorithm.SHA256,
    pb.Verification.Hmac.SHA512: Algorithm.SHA512,
    pb.Verification.Hmac.SHA1: Algorithm.SHA1,
}
_ENCODINGS = {
    pb.Verification.Hmac.ENCODING_UNSPECIFIED: Encoding.HEX,
    pb.Verification.Hmac.HEX: Encoding.HEX,
    pb.Verification.Hmac.BASE64: Encoding.BASE64,
    pb.Verification.Hmac.BASE64_URL: Encoding.BASE64_URL,
}


def source_of(draft: Draft) -> Source:
    """The source of a draft that is not built in; raises InvalidArgument, or ParseError for a scheme not known here."""
    verification = ParseDict(dict(draft.verification), pb.Verification())
    return configured(
        SourceConfig(
            name=draft.name,
            verification=scheme_of(verification),
            id_paths=draft.dedup_paths,
            type_path=draft.type_path,
            json_required=draft.json_required,
            disabled=draft.disabled,
        )
    )


def scheme_of(verification: pb.Verification) -> Scheme:
    """The scheme; raises InvalidArgument for one that is missing, or wrong in itself."""
    kind = verification.WhichOneof("scheme")
    if kind is None:
        schemes = ", ".join(field.json_name for field in pb.Verification.DESCRIPTOR.oneofs_by_name["scheme"].fields)
        description = f"needs a scheme, so that nobody delivers unverified by mistake: one of {schemes}"
        raise InvalidArgument.field("verification", description, reason="VERIFICATION_MISSING")
    return _SCHEMES[kind](getattr(verification, kind))


def _hmac(config: pb.Verification.Hmac) -> Scheme:
    return Hmac(
        header=config.header.lower(),
        algorithm=_ALGORITHMS[config.algorithm],
        encoding=_ENCODINGS[config.encoding],
        prefix=config.prefix,
        content=config.content or "{body}",
        id_header=config.id_header.lower(),
        timestamp_header=config.timestamp_header.lower(),
        tolerance=_tolerance(config),
    )


def _header_token(config: pb.Verification.HeaderToken) -> Scheme:
    return HeaderToken(header=config.header.lower(), prefix=config.prefix)


def _tolerance(config: Any) -> timedelta:
    return config.tolerance.ToTimedelta() if config.HasField("tolerance") else TOLERANCE


_SCHEMES: Mapping[str, Callable[[Any], Scheme]] = {
    "standard_webhooks": lambda config: StandardWebhooks(ed25519=ed25519, tolerance=_tolerance(config)),
    "hmac": _hmac,
    "github": lambda _config: GitHub(),
    "stripe": lambda config: Stripe(tolerance=_tolerance(config)),
    "slack": lambda config: Slack(tolerance=_tolerance(config)),
    "shopify": lambda _config: Shopify(),
    "basic": lambda config: Basic(username=config.username),
    "header_token": _header_token,
    "secret_url": lambda _config: SecretUrl(),
    "loopback": lambda _config: Loopback(),
}
