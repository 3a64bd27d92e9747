"""Dead letters, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from lockgroove.webhooks.v1 import dead_letters_pb2 as pb
from lockgroove.webhooks.v1 import dead_letters_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop
from services.webhooks.dead_letters.metrics import DeadLetterMetrics
from services.webhooks.dead_letters.servicer import DeadLetterServicer
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.ground import Ground
from services.webhooks.worker import MEASURE, Repeatedly

SERVICE = pb.DESCRIPTOR.services_by_name["DeadLetterService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSlice:
    """The API of dead letters, and the measure of those that wait."""

    servicer: DeadLetterServicer
    dead_letters: SqlDeadLetters
    metrics: DeadLetterMetrics

    def serve(self, server: Server) -> None:
        """Adds DeadLetterService to a server."""
        server.add(self.servicer, rpc.add_DeadLetterServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [Repeatedly("dead letters", self._measure, every=MEASURE).run]

    async def _measure(self) -> None:
        self.metrics.waiting(await self.dead_letters.summary())


def make_dead_letters(ground: Ground, *, decided: Callable[[], None]) -> DeadLetterSlice:
    """Wires the slice; `decided` is called when events are due once more."""
    dead_letters = SqlDeadLetters(ground.database, ground.interventions, tokens=ground.tokens)
    metrics = DeadLetterMetrics(ground.telemetry.metrics)
    return DeadLetterSlice(
        servicer=DeadLetterServicer(dead_letters, metrics=metrics, decided=decided),
        dead_letters=dead_letters,
        metrics=metrics,
    )
