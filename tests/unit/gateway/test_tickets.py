"""Tickets that open streams."""

import secrets
from typing import Any

import pytest
from lockgroove.config.v1 import sessions_pb2 as pb

from libs.errors import Unavailable
from libs.rpc.sessions import SessionSeal, TicketUnusable
from services.gateway.access.tickets import Tickets

SEAL = SessionSeal(["the suite's own token"])


class Redeeming:
    """The service, which fails when it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failing: Exception | None = None

    async def RedeemTicket(self, request: Any) -> pb.RedeemTicketResponse:
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        return pb.RedeemTicketResponse(credential="lgb_somebody")


def opening(ticket: str) -> dict[str, Any]:
    return {"method": "GET", "path": "/api/v1/events:watch", "query_string": f"ticket={ticket}".encode()}


@pytest.fixture
def service() -> Redeeming:
    return Redeeming()


@pytest.fixture
def tickets(service: Redeeming) -> Tickets:
    return Tickets(service, SEAL, is_stream=lambda scope: True)  # type: ignore[arg-type] # no more of it is asked


@pytest.mark.parametrize("failing", [None, TicketUnusable()])
async def test_a_ticket_that_was_used_keeps_no_service_busy(
    tickets: Tickets, service: Redeeming, failing: Exception | None
) -> None:
    ticket, service.failing = SEAL.ticket(secrets.token_bytes), failing
    if failing is None:
        assert await tickets.credential(opening(ticket)) == "lgb_somebody"

    for _ in range(5):
        with pytest.raises(TicketUnusable):
            await tickets.credential(opening(ticket))

    assert service.asked == 1


async def test_a_ticket_that_nobody_could_look_at_stays_good(tickets: Tickets, service: Redeeming) -> None:
    ticket, service.failing = SEAL.ticket(secrets.token_bytes), Unavailable("away")
    with pytest.raises(Unavailable):
        await tickets.credential(opening(ticket))

    service.failing = None

    assert await tickets.credential(opening(ticket)) == "lgb_somebody"
