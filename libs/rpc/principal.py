"""Who makes a call, and what that allows."""

from dataclasses import dataclass

from lockgroove.api.v1 import annotations_pb2 as api


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who makes a call: the user of a key, one of the suite's services, or nobody in particular.

    `key` is the id of the key, and `title` what it is for; both are empty where there is none. `session` is the id of
    the session through which a browser acts for the holder.

    READ < REQUEST < OPERATE < ADMIN: each scope includes the ones before it. INTERNAL includes them all, and only the
    suite's own services have it.
    """

    name: str
    scopes: frozenset[int]
    title: str = ""
    key: str = ""
    session: str = ""

    def may(self, scope: int) -> bool:
        """Whether a method with this scope may be called."""
        if scope == api.PUBLIC or api.INTERNAL in self.scopes:
            return True
        return scope != api.INTERNAL and any(held >= scope for held in self.scopes)


ANONYMOUS = Principal(name="anonymous", scopes=frozenset())
SERVICE = Principal(name="service", scopes=frozenset({api.INTERNAL}))
