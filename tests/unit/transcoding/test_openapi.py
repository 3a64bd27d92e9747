"""The OpenAPI document: valid, and of the same descriptors as the routes."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.openapi import About, Added, describe, problem_response
from libs.transcoding.routes import bindings

WEBHOOK = {"post": {"operationId": "hook", "responses": {"202": {"description": "Taken."}}}}
THING = "everything.v1.Thing"


@pytest.fixture(scope="module")
def document(everything: DescriptorSet) -> Any:
    about = About(
        title="Things",
        version="1",
        description="Keeps things.",
        added=lambda binding: Added(
            security=[] if binding.method.name == "GetFile" else [{"key": ["READ"]}],
            note="Scope: `READ`.",
            parameters=[{"$ref": "#/components/parameters/Version"}],
            headers={"ETag": {"schema": {"type": "string"}}},
            responses={"default": {"$ref": "#/components/responses/Error"}},
        ),
        paths={"/hook": WEBHOOK},
        tags=[{"name": "Hooks"}],
        examples={THING: {"name": "things/1"}},
        components={
            "parameters": {"Version": {"name": "If-Match", "in": "header", "schema": {"type": "string"}}},
            "responses": {"Error": problem_response("An error.")},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    )
    return describe(everything, bindings(everything), about)


def parameters(operation: dict[str, Any], place: str) -> dict[str, Any]:
    return {each["name"]: each["schema"] for each in operation["parameters"] if each.get("in") == place}


def test_it_is_valid(document: Any) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_paths_are_named_after_resources(document: Any) -> None:
    assert set(document["paths"]) >= {
        "/v1/things/{thing}", "/legacy/things/{name}", "/v1/things", "/v1/things/{thing}:ping", "/v1/things:watch",
        "/v1/files/{name}", "/hook",
    }  # fmt: skip
    assert list(parameters(document["paths"]["/v1/things/{thing}"]["patch"], "path")) == ["thing"]


def test_an_operation_says_what_its_comment_says(document: Any) -> None:
    operation = document["paths"]["/v1/things/{thing}"]["get"]

    assert operation["operationId"] == "Things_GetThing"
    assert operation["summary"] == "Reads a thing"
    assert operation["description"] == "Reads a thing.\n\nWith a second paragraph.\n\nScope: `READ`."
    assert document["paths"]["/legacy/things/{name}"]["get"]["operationId"] == "Things_GetThing_1"


def test_query_parameters_are_what_path_and_body_leave(document: Any) -> None:
    listing = parameters(document["paths"]["/v1/things"]["get"], "query")

    assert {"pageSize", "onlyColours", "like.small", "sinceTime", "deleted", "readMask"} <= set(listing)
    assert not {"like", "labels", "like.children"} & set(listing)
    assert list(parameters(document["paths"]["/v1/things"]["post"], "query")) == ["requestId"]
    assert parameters(document["paths"]["/v1/things/{thing}:ping"]["post"], "query") == {}


def test_streams_name_both_media_types(document: Any) -> None:
    content = document["paths"]["/v1/things:watch"]["get"]["responses"]["200"]["content"]

    assert set(content) == {"text/event-stream", "application/x-ndjson"}


def test_a_raw_body_is_of_any_type(document: Any) -> None:
    assert document["paths"]["/v1/choices:file"]["put"]["requestBody"]["content"] == {"*/*": {"schema": {}}}


def test_an_answer_may_be_one_field_and_null_when_it_is_unset(document: Any) -> None:
    tags, child = (
        document["paths"][f"/v1/choices/{{text}}/{field}"]["get"]["responses"]["200"]["content"]["application/json"]
        for field in ("tags", "child")
    )

    assert tags["schema"]["type"] == "array"
    assert {"type": "null"} in child["schema"]["anyOf"]


def test_fields_have_the_types_of_their_json_form(document: Any) -> None:
    fields = document["components"]["schemas"][THING]["properties"]

    assert fields["big"]["type"] == "string"
    assert fields["data"]["format"] == "byte"
    assert fields["createTime"] == {"type": "string", "format": "date-time", "readOnly": True}
    assert fields["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert fields["bigBox"]["format"] == "int64"
    assert fields["child"] == {"$ref": f"#/components/schemas/{THING}", "description": "The inside."}


def test_what_stands_before_the_routes_is_added_to_each_operation(document: Any) -> None:
    operation = document["paths"]["/v1/things"]["get"]

    assert operation["security"] == [{"key": ["READ"]}]
    assert document["paths"]["/v1/files/{name}"]["get"]["security"] == []
    assert {"$ref": "#/components/parameters/Version"} in operation["parameters"]
    assert set(operation["responses"]) == {"200", "default"}
    assert set(operation["responses"]["200"]["headers"]) == {"ETag"}


def test_a_body_has_the_example_of_its_schema(document: Any) -> None:
    assert document["paths"]["/v1/things"]["post"]["requestBody"]["content"]["application/json"] == {
        "schema": {"$ref": f"#/components/schemas/{THING}"},
        "example": {"name": "things/1"},
    }


def test_a_line_of_a_stream_may_be_its_error(document: Any) -> None:
    content = document["paths"]["/v1/things:watch"]["get"]["responses"]["200"]["content"]

    item = content["text/event-stream"]["schema"]
    assert content["application/x-ndjson"]["schema"]["anyOf"] == [item, {"$ref": "#/components/schemas/StreamError"}]
