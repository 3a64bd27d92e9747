"""Dead letters, put together."""

from collections.abc import Callable

from lockgroove.webhooks.v1 import dead_letters_pb2 as pb
from lockgroove.webhooks.v1 import dead_letters_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from services.webhooks.dead_letters.metrics import DeadLetterGauge, DeadLetterMetrics
from services.webhooks.dead_letters.servicer import DeadLetterServicer
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.tables import work

SERVICE = pb.DESCRIPTOR.services_by_name["DeadLetterService"].full_name


def serve_dead_letters(
    server: Server,
    database: Database,
    outbox: SqlOutbox,
    *,
    tokens: PageTokens,
    telemetry: Telemetry,
    decided: Callable[[], None],
) -> DeadLetterGauge:
    """Adds DeadLetterService to the server; returns the gauge, which is to be run."""
    interventions = SqlInterventions(work, outbox)
    dead_letters = SqlDeadLetters(database, interventions, tokens=tokens)
    metrics = DeadLetterMetrics(telemetry.metrics)
    servicer = DeadLetterServicer(dead_letters, metrics=metrics, decided=decided)
    server.add(servicer, rpc.add_DeadLetterServiceServicer_to_server, SERVICE)
    return DeadLetterGauge(dead_letters.summary, metrics.waiting)
