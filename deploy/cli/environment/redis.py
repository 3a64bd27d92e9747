"""Redis answers, where one is named: without it the suite works, and counts apart."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.cli.environment.finding import Environment, Finding, warning

_WITHIN = 3.0  # seconds


async def redis(environment: Environment) -> list[Finding]:
    """Why it does not; an address may hold a password, so it is not repeated."""
    url = environment.get("REDIS_URL")
    if not url:
        return []
    try:
        async with Redis.from_url(url, socket_timeout=_WITHIN, socket_connect_timeout=_WITHIN) as client:
            await client.ping()
    except (RedisError, OSError, ValueError) as fault:
        return [warning("REDIS_URL", f"nobody answers PING there ({type(fault).__name__}): gateways count apart")]
    return []
