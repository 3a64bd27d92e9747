"""Path templates: the language, and what they match."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.transcoding.faults import Fault
from libs.transcoding.templates import BadTemplate, Template


def match(template: str, path: str) -> Mapping[str, str] | None:
    return Template.parse(template).match(path)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/things", "/v1/things", {}),
        ("/v1/{name=things/*}", "/v1/things/a", {"name": "things/a"}),
        ("/v1/{id}", "/v1/a%2Fb%20c", {"id": "a/b c"}),
        ("/v1/{name=things/*}", "/v1/things/a%2fb%20c", {"name": "things/a%2fb c"}),
        ("/v1/{parent=a/*}/b/{b}", "/v1/a/x/b/y", {"parent": "a/x", "b": "y"}),
        ("/v1/{thing.name=things/*}:ping", "/v1/things/a:ping", {"thing.name": "things/a"}),
        ("/v1/{id}", "/v1/a%3Aping", {"id": "a:ping"}),
        ("/v1/*/x", "/v1/anything/x", {}),
        ("/v1/{name=files/**}", "/v1/files", {"name": "files"}),
        ("/v1/{name=files/**}", "/v1/files/a/b", {"name": "files/a/b"}),
        ("/v1/{rest=**}", "/v1", {"rest": ""}),
        ("/v1/{rest=**}", "/v1/a/b", {"rest": "a/b"}),
        ("/v1/{rest=**}:go", "/v1/a/b:go", {"rest": "a/b"}),
    ],
)
def test_a_path_that_matches(template: str, path: str, values: dict[str, str]) -> None:
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/things", "/v1/things/"),
        ("/v1/things", "/v1//things"),
        ("/v1/{name=things/*}", "/v1/things/"),
        ("/v1/{name=things/*}", "/v1/things/a/"),
        ("/v1/{name=things/*}", "/v1/things/a/b"),
        ("/v1/{name=things/*}", "/v1/things/a:ping"),
        ("/v1/{name=things/*}:ping", "/v1/things/a"),
        ("/v1/{name=things/*}:ping", "/v1/things/a%3Aping"),
        ("/v1/{name=files/**}", "/v1/files/a//b"),
        ("/v1/{name=files/**}", "/v1/filesystem"),
        ("/v1/things", "/v1/things\n"),
        ("/v1/th.ngs", "/v1/things"),
    ],
)
def test_a_path_that_does_not_match(template: str, path: str) -> None:
    assert match(template, path) is None


@pytest.mark.parametrize("path", ["/v1/a%zz", "/v1/a%", "/v1/%ff"])
def test_an_escape_that_cannot_be_decoded_names_the_field(path: str) -> None:
    with pytest.raises(Fault) as caught:
        match("/v1/{id}", path)

    assert caught.value.path == "id"


@pytest.mark.parametrize(
    "text",
    ["", "v1", "/", "/v1/", "/v1//x", "/{", "/{}", "/{a", "/{a=}", "/{a={b}}", "/{A}", "/{a..b}", "/**/x", "/a:",
     "/a:b:c", "/a b", "/{a=**/b}", "/{a=*}x", "/***"],
)  # fmt: skip
def test_a_text_that_is_no_template(text: str) -> None:
    with pytest.raises(BadTemplate):
        Template.parse(text)


@given(st.text("/{}=*:.ab1", max_size=12))
def test_every_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = Template.parse(text)
    except BadTemplate:
        return

    assert template.text.startswith("/")


def test_the_closest_template_comes_first() -> None:
    texts = ["/v1/{a=**}", "/v1/{a}", "/v1/x", "/v1/{a}:go"]

    closest = sorted(map(Template.parse, texts), key=lambda template: template.specificity)

    assert [template.text for template in closest] == ["/v1/x", "/v1/{a}:go", "/v1/{a}", "/v1/{a=**}"]
