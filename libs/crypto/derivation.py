"""Keys for one purpose each, from the root key (HKDF-SHA256, RFC 5869).

In a few lines of the standard library, so that a service that only needs its token does not load OpenSSL's bindings.
"""

import base64
import hashlib
import hmac

LENGTH = 32  # bytes: one block of SHA-256, so that RFC 5869's expansion is a single step

_INFO = "lockgroove/"


def derive(root: bytes, purpose: str) -> bytes:
    """The key for a purpose: 32 bytes that say nothing about the root key or about other purposes."""
    return hkdf(root, info=(_INFO + purpose).encode())


def service_token(root: bytes) -> str:
    """The bearer token with which the suite's services prove to each other that they hold the root key."""
    return "lgs_" + base64.urlsafe_b64encode(derive(root, "service token")).rstrip(b"=").decode()


def hkdf(secret: bytes, *, salt: bytes = bytes(LENGTH), info: bytes) -> bytes:
    """One block of HKDF-SHA256 (RFC 5869, 2.2 and 2.3)."""
    pseudorandom = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)
