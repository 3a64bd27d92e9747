"""Documents of settings that cannot be taken over: each is refused by its place, and nothing changes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.config.v1 import config_pb2 as pb

from libs.clock import SystemClock
from libs.errors import InvalidArgument
from services.config.catalogue import load_catalogue
from services.config.convert import document_from_pb
from services.config.domain.configuration import Configuration, Terms
from services.config.domain.document import DamagedDocument, Document, SealedSecrets
from services.config.domain.history import Origin
from services.config.domain.values import Fallbacks, Stored
from services.config.exports import Exports, _secrets
from services.config.rules import ProtoRules

CATALOGUE = load_catalogue()
PASSPHRASE = "correct horse battery staple"
HELD = {"lidarr.url": "http://a", "lidarr.api_key": "sesame"}
Spoil = Callable[[Document], Document]


class Held:
    """What is stored, in memory."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.stored = Stored(version=1, texts=texts)

    async def load(self) -> Stored:
        return self.stored

    async def version(self) -> int:
        return self.stored.version

    async def save(self, changes: Mapping[str, str | None], *, version: int, actor: str, origin: Origin) -> None:
        self.stored = replace(self.stored.changed(changes), version=version + 1)


def exports_of(held: Held) -> Exports:
    configuration = Configuration(
        held,
        catalogue=CATALOGUE,
        fallbacks=Fallbacks(CATALOGUE, {}),
        rules=ProtoRules(CATALOGUE),
        changed=lambda: None,
    )
    return Exports(configuration, catalogue=CATALOGUE, clock=SystemClock())


@pytest.fixture(scope="module")
def whole() -> Document:
    """A document with a secret: made once, for its key takes a while."""
    return asyncio.run(exports_of(Held(HELD)).export(PASSPHRASE))


async def refusal(document: Document, passphrase: str = "") -> InvalidArgument:
    """How a document is refused; what is held stays."""
    held = Held({"lidarr.url": "http://before"})
    with pytest.raises(InvalidArgument) as caught:
        await exports_of(held).take_over(document, passphrase=passphrase, replacing=False, terms=Terms(actor="ada"))
    assert held.stored == Held({"lidarr.url": "http://before"}).stored
    return caught.value


def plain(values: Mapping[str, str]) -> Document:
    return Document(export_time=datetime(2026, 1, 1, tzinfo=UTC), values=values).summed()


def bit(document: Document) -> Document:
    box = _box(document)
    return replace(document, secrets=replace(box, ciphertext=bytes([box.ciphertext[0] ^ 1]) + box.ciphertext[1:]))


def cost(document: Document) -> Document:
    return replace(document, secrets=replace(_box(document), cost=14))


def value(document: Document) -> Document:
    return replace(document, values={"lidarr.url": "http://evil"})


def later(document: Document) -> Document:
    assert document.export_time is not None
    return replace(document, export_time=document.export_time + timedelta(seconds=1))


async def test_a_document_that_is_whole_is_taken_over(whole: Document) -> None:
    held = Held({"lidarr.root_folder": "/music"})
    terms = Terms(actor="ada", origin=Origin.IMPORT)
    await exports_of(held).take_over(whole, passphrase=PASSPHRASE, replacing=True, terms=terms)

    assert held.stored.texts == HELD


@pytest.mark.parametrize("spoil", [bit, cost, value, later])
async def test_a_document_that_was_damaged_is_refused(whole: Document, spoil: Spoil) -> None:
    refused = await refusal(spoil(whole), PASSPHRASE)

    assert (refused.code_reason, refused.violations[0].field) == ("DAMAGED_DOCUMENT", "document.checksum")


@pytest.mark.parametrize("spoil", [bit, cost, value, later])
async def test_who_mends_the_checksum_still_cannot_change_what_secrets_belong_to(whole: Document, spoil: Spoil) -> None:
    assert (await refusal(spoil(whole).summed(), PASSPHRASE)).code_reason == "WRONG_PASSPHRASE"


async def test_a_wrong_passphrase_is_refused(whole: Document) -> None:
    refused = await refusal(whole, "not the right one")

    assert (refused.code_reason, refused.violations[0].field) == ("WRONG_PASSPHRASE", "passphrase")


async def test_secrets_are_not_left_behind_for_want_of_a_passphrase(whole: Document) -> None:
    assert (await refusal(whole)).code_reason == "PASSPHRASE_NEEDED"


async def test_a_newer_format_is_refused_before_its_checksum_is_judged(whole: Document) -> None:
    refused = await refusal(replace(whole, format=2), PASSPHRASE)

    assert (refused.code_reason, refused.violations[0].field) == ("NEWER_DOCUMENT", "document.format")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("lidarr.apikey", "x", "there is no setting lidarr.apikey; did you mean lidarr.apiKey?"),
        ("soulseek.listenPort", "sixty", "expected a whole number"),
        ("lidarr.qualityProfileId", "0", "must be greater than or equal to 1"),
    ],
)
async def test_a_value_that_cannot_be_taken_over_is_named_by_its_place(name: str, text: str, told: str) -> None:
    refused = await refusal(plain({"lidarr.url": "http://a", name: text}))

    assert [(each.field, each.description) for each in refused.violations] == [(f'document.values["{name}"]', told)]


async def test_a_secret_that_was_written_down_openly_is_never_quoted() -> None:
    refused = await refusal(plain({"lidarr.apiKey": "sesame\0"}))

    assert "sesame" not in f"{refused!r}{refused.violations}"


async def test_of_very_many_unknown_names_the_first_are_told() -> None:
    refused = await refusal(plain({f"strange.{number}": "x" for number in range(20_000)}))

    assert [each.field for each in refused.violations][:1] == ['document.values["strange.0"]']
    assert len(refused.violations) == 20


@pytest.mark.parametrize("told", ['{"\\ud800": "x"}', '{"lidarr.apiKey": 1}', "[" * 100_000])
def test_secrets_that_somebody_else_sealed_are_refused_where_they_are_none(told: str) -> None:
    with pytest.raises(DamagedDocument):
        _secrets(told.encode())


@pytest.mark.parametrize("moment", [Timestamp(seconds=10**15), Timestamp(seconds=-(10**12)), Timestamp(nanos=-5)])
def test_a_document_of_no_possible_moment_is_refused(moment: Timestamp) -> None:
    with pytest.raises(DamagedDocument, match="no moment"):
        document_from_pb(pb.SettingsDocument(export_time=moment))


def test_a_document_shows_no_values_when_it_is_printed(whole: Document) -> None:
    assert "http" not in repr(whole)


def _box(document: Document) -> SealedSecrets:
    assert document.secrets is not None
    return document.secrets
