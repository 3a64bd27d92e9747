"""Which routes count for objectives, as matchers of PromQL.

What probes ask is not traffic, and says 503 on purpose. Streams, waits and questions to others take long on purpose.
"""

PROBES = "(/api)?(/health)?/(live|ready)|(/api)?/health|/api/metrics"
PATIENT = (
    ".+:(watch|test|acquire|lookUp|complete|refresh|revoke|reconcile|run|verify)"
    "|/api/events|/api/oauth/.+|/api/v1/oauth/.+/token"
)
ASKED = f'route!~"{PROBES}"'
QUICK = f'route!~"{PROBES}|{PATIENT}"'
