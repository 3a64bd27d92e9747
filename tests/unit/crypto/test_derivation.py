"""HKDF against RFC 5869, and keys of one purpose each."""

from libs.crypto.derivation import derive, hkdf, service_token


def test_the_first_vector_of_rfc_5869() -> None:
    key = hkdf(b"\x0b" * 22, salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA)))

    assert key.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_the_third_vector_of_rfc_5869_without_salt() -> None:
    assert hkdf(b"\x0b" * 22, info=b"").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_each_purpose_has_its_own_key() -> None:
    assert derive(b"root", "keyring") != derive(b"root", "page tokens")


def test_each_root_has_its_own_token() -> None:
    assert service_token(b"root") != service_token(b"other")


def test_a_token_fits_into_a_header() -> None:
    token = service_token(b"root")

    assert token.startswith("lgs_")
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token
