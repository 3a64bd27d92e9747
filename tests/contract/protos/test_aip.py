"""The rules of Google's AIPs that we adopted, over everything that our protos declare."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.api import field_behavior_pb2, resource_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from lockgroove.api.v1 import annotations_pb2 as api

from tests.contract.protos.every import every
from tests.contract.protos.image import PACKAGE, Binding, Item, bindings, image, items

IMAGE = image()
ITEMS = items(IMAGE)
BY_NAME = {item.name: item for item in ITEMS}
BINDINGS = bindings(IMAGE)
BEHAVIORS = field_behavior_pb2.FieldBehavior
# A setting is a text where its environment variable is one: `CLEANUP_TIME=02:00`.
TIMES_OF_DAY = frozenset({f"{PACKAGE}config.v1.UpkeepSettings.cleanup_time"})

Field = FieldDescriptorProto


def of_kind(kind: str) -> list[Item]:
    """Every item of a kind."""
    return [item for item in ITEMS if item.kind == kind]


def methods(prefix: str) -> list[Item]:
    """The methods whose names begin with a verb."""
    return [method for method in of_kind("method") if method.proto.name.startswith(prefix)]


def resources() -> list[Item]:
    """The messages that are resources (AIP-123)."""
    return [message for message in of_kind("message") if resource(message)]


def resource(message: Item) -> str:
    """The type of a resource, or nothing."""
    return str(message.proto.options.Extensions[resource_pb2.resource].type)


def fields(message: Item) -> dict[str, Any]:
    return {field.name: field for field in message.proto.field}


def message(type_name: str) -> Item:
    return BY_NAME[type_name.removeprefix(".")]


def request(method: Item) -> Item:
    return message(method.proto.input_type)


def response(method: Item) -> Item:
    return message(method.proto.output_type)


def behaviors(field: Any) -> set[int]:
    return set(field.options.Extensions[field_behavior_pb2.field_behavior])


def bound(method: Item) -> list[Binding]:
    return [binding for binding in BINDINGS if binding.method == method.name]


def sent_by_callers() -> list[Item]:
    """Fields of requests and resources, and of all messages inside them."""
    found: dict[str, Item] = {}
    for method in of_kind("method"):
        _reach(request(method), found)
    for each in resources():
        _reach(each, found)
    return [field for field in of_kind("field") if field.parent and field.parent.name in found]


def _reach(start: Item, found: dict[str, Item]) -> None:
    if start.name in found:
        return
    found[start.name] = start
    for field in start.proto.field:
        inside = BY_NAME.get(field.type_name.removeprefix("."))
        if inside is not None and inside.kind == "message":
            _reach(inside, found)


def test_there_is_something_to_look_at() -> None:
    assert {item.kind for item in ITEMS} == {
        "message",
        "field",
        "enum",
        "value",
        "service",
        "method",
        "extension",
    }


def test_a_broken_rule_names_whoever_breaks_it_and_nobody_else() -> None:
    @every(of_kind("method"))
    def without_get(item: Item) -> None:
        assert "Get" not in item.proto.name

    with pytest.raises(AssertionError) as broken:
        without_get()

    for method in of_kind("method"):
        assert (f"{method.name.removeprefix(PACKAGE)}: AssertionError" in str(broken.value)) == (
            "Get" in method.proto.name
        )


@every(ITEMS)
def test_everything_has_a_comment_that_is_a_sentence(item: Item) -> None:
    assert item.comment.endswith((".", "`", ":"))  # AIP-192


class TestResources:
    """AIP-121 to 124, 148, 154."""

    @every(resources())
    def test_the_first_field_is_its_name(self, item: Item) -> None:
        name = fields(item)["name"]

        assert name.number == 1
        assert name.type == Field.TYPE_STRING
        assert behaviors(name) == {BEHAVIORS.IDENTIFIER}

    @every(resources())
    def test_its_pattern_is_a_plural_collection(self, item: Item) -> None:
        declared = item.proto.options.Extensions[resource_pb2.resource]

        assert declared.type == f"lockgroove.internal/{item.proto.name}"
        assert list(declared.pattern) == [f"{declared.plural}/{{{declared.singular}}}"]

    @every(resources())
    def test_it_has_an_etag(self, item: Item) -> None:
        assert fields(item)["etag"].type == Field.TYPE_STRING

    @every(resources())
    def test_it_says_when_it_changed(self, item: Item) -> None:
        assert fields(item)["update_time"].type_name == ".google.protobuf.Timestamp"

    @every(resources())
    def test_its_state_is_output_only(self, item: Item) -> None:
        state = fields(item)["state"]  # AIP-216

        assert state.type_name == f".{item.name}.State"
        assert behaviors(state) == {BEHAVIORS.OUTPUT_ONLY}


class TestFields:
    """AIP-140 to 143, 155, 203."""

    @every(of_kind("field"))
    def test_a_name_is_lower_snake(self, item: Item) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", item.proto.name)

    @every(of_kind("field"))
    def test_a_time_and_nothing_else_ends_in_time(self, item: Item) -> None:
        if item.name not in TIMES_OF_DAY:
            assert item.proto.name.endswith("_time") == (item.proto.type_name == ".google.protobuf.Timestamp")

    @every(of_kind("field"))
    def test_a_count_or_a_size_is_an_integer(self, item: Item) -> None:
        if item.proto.name.endswith(("_count", "_bytes")):
            assert item.proto.type in (Field.TYPE_INT32, Field.TYPE_INT64)

    @every(of_kind("field"))
    def test_no_number_loses_digits_in_json(self, item: Item) -> None:
        assert item.proto.type != Field.TYPE_FLOAT

    @every(sent_by_callers())
    def test_a_field_of_a_resource_or_a_request_says_how_it_behaves(self, item: Item) -> None:
        assert behaviors(item.proto)

    @every(sent_by_callers())
    def test_a_field_is_not_required_and_optional_at_once(self, item: Item) -> None:
        exclusive = {BEHAVIORS.REQUIRED, BEHAVIORS.OPTIONAL, BEHAVIORS.OUTPUT_ONLY, BEHAVIORS.IDENTIFIER}

        assert len(behaviors(item.proto) & exclusive) <= 1

    @every(of_kind("field"))
    def test_a_request_id_is_an_optional_uuid(self, item: Item) -> None:
        if item.proto.name == "request_id":
            rules = item.proto.options.Extensions[validate_pb2.field]

            assert rules.string.uuid
            assert rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE
            assert behaviors(item.proto) == {BEHAVIORS.OPTIONAL}


class TestMethods:
    """AIP-127, 130 to 136, 158, and who may call."""

    @every(of_kind("method"))
    def test_a_method_has_a_scope(self, item: Item) -> None:
        assert item.proto.options.Extensions[api.scope] != api.SCOPE_UNSPECIFIED

    @every(of_kind("method"))
    def test_a_method_is_bound_to_http_unless_it_is_internal(self, item: Item) -> None:
        internal = item.proto.options.Extensions[api.scope] == api.INTERNAL

        assert bool(bound(item)) != internal

    @every(of_kind("method"))
    def test_a_route_is_below_api(self, item: Item) -> None:
        assert all(binding.path.startswith("/api/") for binding in bound(item))

    @every(of_kind("method"))
    def test_a_request_is_named_after_its_method(self, item: Item) -> None:
        assert request(item).proto.name == f"{item.proto.name}Request"

    @every(of_kind("method"))
    def test_what_is_read_with_get_has_no_side_effects(self, item: Item) -> None:
        if "get" in {binding.verb for binding in bound(item)}:
            assert item.proto.options.idempotency_level == item.proto.options.NO_SIDE_EFFECTS

    @every(methods("Get"))
    def test_get_returns_the_resource(self, item: Item) -> None:
        assert response(item).proto.name == item.proto.name.removeprefix("Get")
        assert all(binding.verb == "get" and not binding.body for binding in bound(item))

    @every(methods("List"))
    def test_list_has_pages(self, item: Item) -> None:
        asked, given = fields(request(item)), fields(response(item))

        assert asked["page_size"].type == Field.TYPE_INT32
        assert asked["page_token"].type == Field.TYPE_STRING
        assert given["next_page_token"].type == Field.TYPE_STRING

    @every(methods("List"))
    def test_a_page_size_above_the_maximum_is_no_error(self, item: Item) -> None:
        rules = fields(request(item))["page_size"].options.Extensions[validate_pb2.field].int32

        assert not rules.HasField("lte")
        assert not rules.HasField("lt")

    @every(methods("List"))
    def test_the_items_of_a_page_are_its_first_field(self, item: Item) -> None:
        (first, *others) = response(item).proto.field

        assert first.number == 1
        assert first.label == Field.LABEL_REPEATED
        assert not [other for other in others if other.label == Field.LABEL_REPEATED]

    @every(methods("Create"))
    def test_create_takes_the_resource_as_body_and_a_request_id(self, item: Item) -> None:
        ((verb, body),) = {(binding.verb, binding.body) for binding in bound(item)}
        asked = fields(request(item))

        assert verb == "post"
        assert asked[body].type_name == item.proto.output_type
        assert behaviors(asked[body]) == {BEHAVIORS.REQUIRED}
        assert "request_id" in asked

    @every(methods("Update"))
    def test_update_is_a_patch_with_an_optional_mask(self, item: Item) -> None:
        (body,) = {binding.body for binding in bound(item)}
        asked = fields(request(item))

        assert "patch" in {binding.verb for binding in bound(item)}
        assert asked[body].type_name == item.proto.output_type
        assert asked["update_mask"].type_name == ".google.protobuf.FieldMask"
        assert behaviors(asked["update_mask"]) == {BEHAVIORS.OPTIONAL}

    @every(of_kind("method"))
    def test_a_custom_verb_is_posted_with_everything_in_the_body_unless_it_reads(self, item: Item) -> None:
        for binding in bound(item):
            if ":" in binding.path and binding.verb != "get":
                assert (binding.verb, binding.body) == ("post", "*")

    @every(of_kind("method"))
    def test_a_name_refers_to_its_resource_and_has_a_pattern(self, item: Item) -> None:
        name = fields(request(item)).get("name")
        if name is not None:
            assert name.options.Extensions[resource_pb2.resource_reference].type in known_resources()
            assert name.options.Extensions[validate_pb2.field].string.pattern
            assert behaviors(name) == {BEHAVIORS.REQUIRED}

    def test_no_two_methods_share_a_route(self) -> None:
        routes = [(binding.verb, expanded(binding.path)) for binding in BINDINGS]

        assert len(routes) == len(set(routes))


class TestEnums:
    """AIP-126. An enum is nested in the message that alone uses it; what several use stands in the package."""

    @every(of_kind("enum"))
    def test_zero_is_unspecified_with_the_enums_name(self, item: Item) -> None:
        prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", item.proto.name).upper()
        (zero,) = [value.name for value in item.proto.value if value.number == 0]

        assert zero == f"{prefix}_UNSPECIFIED"

    @every(of_kind("value"))
    def test_a_value_is_upper_snake(self, item: Item) -> None:
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", item.proto.name)

    @every(of_kind("enum"))
    def test_it_is_nested_exactly_where_one_message_uses_it(self, item: Item) -> None:
        users = set(users_of(item))

        assert users == {item.parent.name} if item.parent else len(users) > 1


def expanded(path: str) -> str:
    """A path template with its variables as the segments that they match."""
    return re.sub(r"\{[^=}]*=?([^}]*)\}", lambda variable: variable[1] or "*", path)


def known_resources() -> set[str]:
    return {resource(item) for item in ITEMS if item.kind == "message"} - {""}


def users_of(enum: Item) -> Iterator[str]:
    """Messages and options with a field of this enum, a map's entries counted as the message that has the map."""
    for item in ITEMS:
        if item.kind == "extension" and item.proto.type_name == f".{enum.name}":
            yield item.name
        if item.kind == "message":
            entries = [field for nested in item.proto.nested_type if nested.options.map_entry for field in nested.field]
            if any(field.type_name == f".{enum.name}" for field in [*item.proto.field, *entries]):
                yield item.name
