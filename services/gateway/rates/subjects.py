"""Who is counted: a key, and whoever shows none that is good by the address that he calls from."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from libs.rates.rules import Subject

KEY = "key"
ADDRESS = "address"

_NETWORK = 64  # bits: what one customer is given at least, and changes addresses within as he likes


def of_key(key_id: str) -> Subject:
    """The key with this id; that of the environment has none."""
    return Subject(KEY, key_id)


@lru_cache(maxsize=4096)
def of_address(text: str) -> Subject:
    """An address, or the network of one of IPv6; one that is none (a socket in the file system) is taken as it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return Subject(ADDRESS, text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return Subject(ADDRESS, str(ip_network((address, _NETWORK), strict=False)))
        address = address.ipv4_mapped
    return Subject(ADDRESS, str(address))
