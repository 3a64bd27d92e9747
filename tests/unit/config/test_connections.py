import pytest
from lockgroove.config.v1 import connections_pb2 as pb

from services.config.catalogue import load_catalogue
from services.config.domain.connections import Findings, SecretNeeded, tried
from services.config.domain.diagnoses import NAMES, Diagnosis, words

CATALOGUE = load_catalogue()
HELD = {
    "lidarr.url": "https://music.example.org/lidarr",
    "lidarr.api_key": "stored",
    "soulseek.server": "server.example.org:2416",
    "soulseek.username": "me",
    "soulseek.password": "stored",
}


def test_the_api_knows_every_diagnosis() -> None:
    assert set(Diagnosis) == set(pb.Diagnosis.keys()) - {"DIAGNOSIS_UNSPECIFIED"}


@pytest.mark.parametrize("connection", NAMES)
@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_every_diagnosis_of_every_connection_is_a_sentence_with_advice(connection: str, diagnosis: Diagnosis) -> None:
    message, advice = words(diagnosis, NAMES[connection])

    assert message.endswith(".")
    assert "{" not in message + advice
    assert bool(advice) is (diagnosis is not Diagnosis.OK)


@pytest.mark.parametrize("connection", NAMES)
def test_texts_name_settings_that_exist(connection: str) -> None:
    paths = {spec.json_path for spec in CATALOGUE}

    assert {NAMES[connection].address, NAMES[connection].key} - {""} <= paths


@pytest.mark.parametrize(
    ("connection", "given"),
    [
        ("lidarr", {"lidarr.url": "https://evil.example.org/lidarr"}),
        ("lidarr", {"lidarr.url": "http://music.example.org/lidarr"}),
        ("lidarr", {"lidarr.url": "https://music.example.org:8686/lidarr"}),
        ("lidarr", {"lidarr.url": "https://music.example.org.evil.org"}),
        ("soulseek", {"soulseek.server": "evil.example.org:2416"}),
        ("soulseek", {"soulseek.server": "evil@server.example.org:2416"}),
        ("soulseek", {"soulseek.username": "Me"}),
    ],
)
def test_a_stored_secret_goes_nowhere_but_where_it_belongs(connection: str, given: dict[str, str]) -> None:
    with pytest.raises(SecretNeeded) as refused:
        tried(CATALOGUE, connection, HELD, given)

    assert "stored" not in refused.value.message.replace("the stored one", "")


@pytest.mark.parametrize(
    ("connection", "given"),
    [
        ("lidarr", {"lidarr.url": "https://Music.example.org:443/other"}),
        ("lidarr", {"lidarr.url": "https://evil.example.org", "lidarr.api_key": "given"}),
        ("lidarr", {"soulseek.server": "evil.example.org:2416"}),
        ("soulseek", {"soulseek.server": "Server.example.org:2416"}),
    ],
)
def test_values_are_tried_over_those_in_force(connection: str, given: dict[str, str]) -> None:
    assert tried(CATALOGUE, connection, HELD, given) == {**HELD, **given}


def test_a_key_that_is_stored_without_an_address_goes_nowhere() -> None:
    with pytest.raises(SecretNeeded):
        tried(CATALOGUE, "lidarr", {"lidarr.api_key": "stored"}, {"lidarr.url": "http://127.0.0.1"})


def test_the_first_thing_that_is_wrong_is_the_verdict() -> None:
    findings = Findings(NAMES["lidarr"])
    findings.good("address", "It answers.")
    findings.wrong("rootFolder", Diagnosis.NO_ROOT_FOLDER)
    findings.wrong("health", Diagnosis.NOT_CONNECTED)

    assert [check.ok for check in findings.checks] == [True, False, False]
    assert "Lidarr" in findings.checks[1].message
