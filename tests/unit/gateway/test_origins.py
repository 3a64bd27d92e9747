"""Origins, as the settings list them and as browsers write them."""

import pytest

from services.gateway.http.cors import origins


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("https://music.example.org", [b"https://music.example.org"]),
        ("HTTPS://Music.Example.org:443", [b"https://music.example.org"]),
        ("http://nas:80 , http://nas:8080", [b"http://nas", b"http://nas:8080"]),
        ("http://[::1]:5173,http://[::1]", [b"http://[::1]:5173", b"http://[::1]"]),
        ("", []),
    ],
)
def test_an_origin_is_listed_as_browsers_write_it(listed: str, sent: list[bytes]) -> None:
    assert list(origins(listed)) == sent
