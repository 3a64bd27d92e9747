"""Paths that stand outside of limits: those of probes, which must see how things are, and what is only read."""

PROBES = frozenset(
    {
        "/api/live",
        "/api/ready",
        "/api/health",
        "/api/metrics",
        # Where other systems have them.
        "/live",
        "/ready",
        "/health",
        "/api/health/live",
        "/api/health/ready",
    }
)
INTAKE = "/api/webhooks/"
OF_LIMITS = frozenset(
    f"/api/{stem}{verb}" for stem in ("rate-limits/", "v1/rateLimits:") for verb in ("status", "check", "reset")
)

_READ = frozenset({"/", "/api/openapi.json", "/api/docs"})
_ASSETS = "/api/docs/"


def is_delivery(method: str, path: str) -> bool:
    """Whether it is a webhook that is delivered."""
    return method == "POST" and path.startswith(INTAKE)


def is_unlimited(method: str, path: str) -> bool:
    """Whether nobody's requests for it are counted."""
    return path in PROBES or path in _READ or path.startswith(_ASSETS) or is_delivery(method, path)
