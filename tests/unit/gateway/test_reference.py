"""The description of the suite as it is: valid, and with all that a client has to know beside the protos."""

from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # has no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.transcoding import routes
from libs.transcoding.descriptors import DescriptorSet
from services.gateway.reference.description import Description
from services.gateway.reference.examples import EXAMPLES


@pytest.fixture(scope="module")
def document() -> Any:
    descriptors = DescriptorSet((files("lockgroove") / "descriptors.binpb").read_bytes())
    return Description(descriptors, routes.bindings(descriptors), version="1").describe()


def operation(document: Any, verb: str, path: str) -> Any:
    return document["paths"][path][verb]


def referred(listed: list[Any]) -> set[str]:
    return {each["$ref"].rpartition("/")[2] for each in listed if "$ref" in each}


def test_it_is_valid(document: Any) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_its_examples_fit_their_schemas_and_are_all_shown(document: Any) -> None:
    shown = [
        content["example"]
        for item in document["paths"].values()
        for each in item.values()
        for content in each.get("requestBody", {}).get("content", {}).values()
        if "example" in content
    ]

    for name, example in EXAMPLES.items():
        schema = {"components": document["components"], "$ref": f"#/components/schemas/{name}"}
        assert not list(Draft202012Validator(schema).iter_errors(example)), name
        assert example in shown, name


def test_every_tag_is_described(document: Any) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}

    used = {tag for item in document["paths"].values() for each in item.values() for tag in each["tags"]}
    assert used == described


def test_changes_need_the_scope_and_from_a_page_the_token_too(document: Any) -> None:
    assert operation(document, "post", "/api/v1/acquisitions")["security"] == [
        {"apiKey": ["REQUEST"]},
        {"bearer": ["REQUEST"]},
        {"session": ["REQUEST"], "csrf": []},
    ]


def test_streams_open_by_ticket_and_go_on_where_they_stood(document: Any) -> None:
    watch = operation(document, "get", "/api/v1/acquisitions:watch")

    assert {"ticket": ["READ"]} in watch["security"]
    assert referred(watch["parameters"]) == {"LastEventId"}


def test_conditions_are_offered_where_they_mean_something(document: Any) -> None:
    read = operation(document, "get", "/api/v1/acquisitions/{acquisition}")
    change = operation(document, "patch", "/api/v1/keys/{key}")
    make = operation(document, "post", "/api/v1/acquisitions")

    assert referred(read["parameters"]) == {"IfNoneMatch"}
    assert "ETag" in read["responses"]["200"]["headers"]
    assert "304" in read["responses"]
    assert referred(change["parameters"]) == {"IfMatch"}
    assert referred(make["parameters"]) == {"IdempotencyKey"}


def test_probes_are_described_without_limits(document: Any) -> None:
    assert "429" not in operation(document, "get", "/api/ready")["responses"]
    assert "429" in operation(document, "get", "/api/v1/acquisitions")["responses"]
