"""The root key of an installation, what is derived from it, and authenticated encryption under it.

What keeps data keys in a database is `libs.crypto.safe`, for those who have one.
"""

from libs.crypto.derivation import derive, service_token
from libs.crypto.keyring import Keyring, Tampered, WrongKey
from libs.crypto.rootkey import RootKeys, UnusableKey, load_root_keys

__all__ = ["Keyring", "RootKeys", "Tampered", "UnusableKey", "WrongKey", "derive", "load_root_keys", "service_token"]
