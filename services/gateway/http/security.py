"""Headers that make browsers careful, the same on every answer: also on errors, and on what is not even HTTP."""

Header = tuple[bytes, bytes]

_POLICY = b"content-security-policy"
_CLOSED = b"default-src 'none'; frame-ancestors 'none'"  # for what is no page; pages bring their own
_HARDENING: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"geolocation=(), microphone=(), camera=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),  # requests with CORS are not concerned
)
_ONLY_TLS: Header = (b"strict-transport-security", b"max-age=31536000")  # hosts below this one are not ours to bind

_PLAIN = (*_HARDENING, (_POLICY, _CLOSED))
_SECURE = (*_PLAIN, _ONLY_TLS)


def hardening(scheme: str, sent: list[Header]) -> tuple[Header, ...]:
    """What is added to the headers that an answer has; `scheme` is how the client came (RFC 6797: HSTS on TLS only)."""
    headers = _SECURE if scheme == "https" else _PLAIN
    for name, _ in sent:
        if name == _POLICY:
            return tuple(header for header in headers if header[0] != _POLICY)
    return headers
