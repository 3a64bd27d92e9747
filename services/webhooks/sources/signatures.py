"""Signatures that the standard library does not know."""


def ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of the key signed the message; False for whatever is no key or no signature."""
    from cryptography.exceptions import InvalidSignature  # OpenSSL's bindings: for those who need them
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
