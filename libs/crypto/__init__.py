"""The root key of an installation, what is derived from it, and authenticated encryption under it."""

from libs.crypto.derivation import derive, service_token
from libs.crypto.keyring import Keyring, Tampered, WrongKey
from libs.crypto.rootkey import UnusableKey, load_root_key

__all__ = ["Keyring", "Tampered", "UnusableKey", "WrongKey", "derive", "load_root_key", "service_token"]
