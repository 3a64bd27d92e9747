"""Our registration in Lidarr: made, repaired, and brought back to life after failures, by one replica at a time.

Saving has Lidarr deliver a Test at once, so our own address has to answer first. What Lidarr thinks of an address
counts in the end: after some probes in vain we ask it all the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from libs.clock import Clock
from libs.leases.errors import LeaseHeld
from libs.leases.hold import LeaseStore, hold
from services.webhooks.domain import registration as entries
from services.webhooks.domain.backfill import Lack, Missed
from services.webhooks.domain.registration import NAME, Json, Wanted
from services.webhooks.lidarr.secret import SOURCE, RegistrationSecret
from services.webhooks.peers import Address, Peer, PeerBroke, PeerRefused

LEASE = "lidarr-registration"
TTL = timedelta(seconds=30)
MAX_PROBES = 15
MAX_TAKEN_AWAY = 3
_FOUGHT_OVER = (
    f"somebody keeps changing the address of our connection {NAME} in Lidarr: is another Lockgroove registered there?"
    " Turn webhooks.registerInLidarr off in one of the two"
)


_Call = tuple[Callable[[str, Json], Awaitable[object]], str, Json]


class Standing(StrEnum):
    """How our registration is."""

    OFF = "OFF"  # Lidarr is not set up, or we are not to register
    GOOD = "GOOD"
    REPAIRED = "REPAIRED"  # just now
    WAITING = "WAITING"  # for our own address, or for another replica
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How our registration is, and what was done, has to be done, or keeps it from being done: a sentence."""

    standing: Standing
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Lidarr's connections and health at one moment; `wanted` is how ours should be."""

    entries: Sequence[Json]
    health: Sequence[Json]
    wanted: Wanted

    @property
    def own(self) -> Json | None:
        """Our entry."""
        return entries.find_own(self.entries)

    @property
    def by_hand(self) -> Json | None:
        """A person's entry that delivers to us: there is no second one then, and it is not ours to change."""
        return None if self.own else entries.find_by_hand(self.entries, self.wanted.url)

    @property
    def is_dropping(self) -> bool:
        """Whether Lidarr drops what it should deliver to us."""
        entry = self.own or self.by_hand
        return entry is not None and entries.is_unhealthy(self.health, self.entries, entry)

    def troubles(self) -> list[str]:
        """What is wrong, in words."""
        if self.own is None and self.by_hand is None:
            return ["Lidarr does not know our webhook"]
        found = entries.faults(self.own, self.wanted) if self.own else []
        return [*found, "Lidarr drops our events after failures"] if self.is_dropping else found


class LidarrRegistration:
    """Keeps our webhook registered where `url` says that Lidarr reaches us; None: not to be registered.

    `answers` says whether our own address answers, as far as we can tell; `repaired` notes what was done.
    """

    def __init__(
        self,
        lidarr: Peer,
        leases: LeaseStore,
        secret: RegistrationSecret,
        *,
        url: Callable[[], str | None],
        answers: Callable[[str], Awaitable[bool]],
        repaired: Callable[[str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._lidarr = lidarr
        self._leases = leases
        self._secret = secret
        self._url = url
        self._answers = answers
        self._repaired = repaired
        self._clock = clock
        self._saved: Wanted | None = None  # what we last saved: the password cannot be read back
        self._saved_in: Address | None = None
        self._probes = 0
        self._taken_away = 0

    @property
    def subject(self) -> str:
        """Whom it asks."""
        return f"sources/{SOURCE}"

    async def find(self) -> Sequence[Missed]:
        """What is wrong with it; changes nothing. Raises AppError where Lidarr cannot be asked."""
        look = await self._look()
        troubles = look.troubles() if look else []
        return [self._missed(f"would repair our registration: {'; '.join(troubles)}")] if troubles else []

    async def fill(self) -> Sequence[Missed]:
        """Repairs it, and says what was done or why not. Raises AppError like `find`."""
        outcome = await self.tend()
        return [self._missed(outcome.text)] if outcome.text else []

    async def tend(self) -> Outcome:
        """Looks at it, and repairs it unless another replica does. Raises AppError like `find`."""
        look = await self._look()
        if look is None:
            return Outcome(standing=Standing.OFF)
        if not look.troubles() and (look.by_hand or look.wanted == self._saved):
            return Outcome(standing=Standing.GOOD)
        try:
            async with hold(self._leases, LEASE, ttl=TTL, clock=self._clock):
                outcome = await self._repair()
        except LeaseHeld:
            return Outcome(standing=Standing.WAITING, text="another replica is repairing our registration")
        if outcome.standing is Standing.REPAIRED:
            await self._repaired(outcome.text)
        return outcome

    def _missed(self, text: str) -> Missed:
        return Missed(lack=Lack.REGISTRATION_BROKEN, subject=self.subject, correction=text)

    async def _look(self) -> _Look | None:
        url, address = self._url(), self._lidarr.address
        if url is None or address is None:
            return None
        if address != self._saved_in:
            self._saved, self._saved_in, self._taken_away = None, address, 0
        wanted = Wanted(url=url, password=await self._secret.find())
        listed = (await self._lidarr.listing("/notification")).body
        health = (await self._lidarr.listing("/health")).body
        return _Look(entries=listed, health=health, wanted=wanted)

    async def _repair(self) -> Outcome:
        await self._secret.make()
        look = await self._look()
        if look is None:
            return Outcome(standing=Standing.OFF)
        if obstacle := self._obstacle(look):
            return Outcome(standing=Standing.BROKEN, text=obstacle)
        if not await self._is_reachable(look.wanted.url):
            return Outcome(standing=Standing.WAITING, text=f"{look.wanted.url} does not answer yet")
        troubles, calls = look.troubles(), await self._calls(look)
        try:
            for call, path, body in calls:
                await call(path, body)
        except PeerRefused as error:
            return Outcome(standing=Standing.BROKEN, text=_refused(error, look.wanted.url))
        except PeerBroke as error:
            return Outcome(standing=Standing.BROKEN, text=_unreachable(error, look.wanted.url))
        self._taken_away = self._taken_away + 1 if self._is_taken_away(look) else 0
        self._saved = look.wanted
        if not troubles:
            return Outcome(standing=Standing.GOOD)
        return Outcome(standing=Standing.REPAIRED, text=f"repaired our registration: {'; '.join(troubles)}")

    def _obstacle(self, look: _Look) -> str:
        """Why nothing can be done without a person; empty when it can."""
        if look.own is None and look.by_hand is None and (taken := entries.find_name_taken(look.entries)):
            return (
                f"Lidarr has a connection {taken.get('name')!r} that is not ours (it leads to"
                f" {entries.url_of(taken) or 'something else'}): rename or delete it, so that ours can be called {NAME}"
            )
        is_fought_over = self._is_taken_away(look) and self._taken_away >= MAX_TAKEN_AWAY
        return _FOUGHT_OVER if is_fought_over else ""

    async def _is_reachable(self, url: str) -> bool:
        """Whether our own address answers; after many probes in vain Lidarr may try, for it may see more than we do."""
        self._probes = 0 if await self._answers(url) else self._probes + 1
        return self._probes % MAX_PROBES == 0

    def _is_taken_away(self, look: _Look) -> bool:
        """Whether somebody changed the address that we had saved."""
        saved = self._saved is not None and self._saved.url == look.wanted.url
        return saved and look.own is not None and entries.url_of(look.own) != look.wanted.url

    async def _calls(self, look: _Look) -> list[_Call]:
        """What repairs it: each of them may have Lidarr call us before it answers."""
        own, wanted = look.own, look.wanted
        if own is not None:
            mended = entries.repaired(own, wanted)
            saving: list[_Call] = [(self._lidarr.put, f"/notification/{own['id']}", mended)]
            needed = saving if wanted != self._saved or entries.faults(own, wanted) else []
            return [*needed, (self._lidarr.post, "/notification/test", mended)] if look.is_dropping else needed
        if look.by_hand is not None:
            return [(self._lidarr.post, "/notification/test", look.by_hand)]
        entry = entries.new_entry((await self._lidarr.listing("/notification/schema")).body, wanted)
        if entry is None:
            raise PeerRefused("this Lidarr has no connections of the kind Webhook", status=404)
        return [(self._lidarr.post, "/notification", entry)]


def _refused(error: PeerRefused, url: str) -> str:
    if "url" in error.fields:
        return (
            f"{url} refused Lidarr: is it our address, and does every proxy before it let it through? ({error.message})"
        )
    return f"Lidarr does not take our registration: {error.message}"


def _unreachable(error: PeerBroke, url: str) -> str:
    return f"Lidarr cannot reach {url}: set webhooks.publicUrl to our address as Lidarr sees it ({error.message})"
