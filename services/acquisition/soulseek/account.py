"""The account with which we are on the network, and where peers reach us."""

from dataclasses import dataclass, field

NO_ACCOUNT = "Soulseek has no account. Set soulseek.username and soulseek.password, then retry."


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a session needs. Two equal accounts are the same session; `listen_port` 0 is any free port."""

    server_host: str
    server_port: int
    username: str
    password: str = field(repr=False)
    listen_host: str = "0.0.0.0"  # noqa: S104 - peers on the internet are to reach us; the setting narrows it
    listen_port: int = 60_000

    @property
    def server(self) -> str:
        """`host:port`."""
        return f"{self.server_host}:{self.server_port}"
