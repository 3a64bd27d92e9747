"""Path templates: the language, and what they match."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.transcoding.faults import Fault
from libs.transcoding.paths import PathIndex
from libs.transcoding.templates import BadTemplate, Overlap, Template


def match(text: str, path: str) -> Mapping[str, str] | None:
    template = Template.parse(text)
    found = PathIndex([(template, template)]).find(path)
    return None if found is None else template.values(found[1])


def closest(texts: Sequence[str], path: str) -> str | None:
    templates = [Template.parse(text) for text in texts]
    found = PathIndex((template, template.text) for template in templates).find(path)
    return None if found is None else found[0]


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
        ("/v1/{rest=**}", "/v1/"),
        ("/v1/{rest=**}:go", "/v1/a:go:go"),
        ("/v1/{id}:go", "/v1/:go"),
        ("/v1/things", "/v1/things:"),
        ("/v1/{rest=**}", "v1/a"),
        ("/{rest=**}", "*"),
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


ALL = ["/v1/{a=**}", "/v1/{a}", "/v1/x", "/v1/{a}:go", "/v1/x/{b}", "/v1/{a}/y/z", "/{a=**}"]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/x", "/v1/x"),
        ("/v1/w", "/v1/{a}"),
        ("/v1/x:go", "/v1/{a}:go"),
        ("/v1/x/y", "/v1/x/{b}"),
        ("/v1/x/y/z", "/v1/{a}/y/z"),
        ("/v1/x/y/w", "/v1/{a=**}"),
        ("/v2/x", "/{a=**}"),
        ("/v1/x:come", None),
    ],
)
def test_the_closest_template_is_found_whatever_is_tried_on_the_way(path: str, template: str | None) -> None:
    assert closest(ALL, path) == closest(ALL[::-1], path) == template


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("/v1/x", "/v1/y", Overlap.NONE),
        ("/v1/{a}", "/v1/{a}:go", Overlap.NONE),
        ("/v1/{a}", "/v1/{a}/x", Overlap.NONE),
        ("/v1/x/{a=**}", "/v1/y/{a=**}", Overlap.NONE),
        ("/v1/x", "/v1/{a}", Overlap.ORDERED),
        ("/v1/x", "/v1/x/{a=**}", Overlap.ORDERED),
        ("/v1/{a}/x", "/v1/{a=**}", Overlap.ORDERED),
        ("/v1/{a}", "/v1/{b}", Overlap.AMBIGUOUS),
        ("/v1/{a=x/*}", "/v1/x/{b}", Overlap.AMBIGUOUS),
        ("/v1/{a}/x", "/v1/y/{b}", Overlap.AMBIGUOUS),
        ("/v1/{a}/x", "/v1/y/{b=**}", Overlap.AMBIGUOUS),
    ],
)
def test_two_templates_are_apart_ordered_or_ambiguous(one: str, other: str, overlap: Overlap) -> None:
    assert Template.parse(one).overlap(Template.parse(other)) is overlap
    assert Template.parse(other).overlap(Template.parse(one)) is overlap


@given(st.lists(st.sampled_from(["/a", "/b", "/{x}", "/*", "/{x=a/*}", "/b/*"]), min_size=1, max_size=3),
       st.lists(st.sampled_from(["/a", "/b", "/{x}", "/{x=b/*}"]), min_size=1, max_size=3),
       st.lists(st.sampled_from("abc"), min_size=1, max_size=5))  # fmt: skip
def test_templates_that_a_path_matches_overlap(one: list[str], other: list[str], path: list[str]) -> None:
    texts, sent = ("".join(one), "".join(other)), f"/{'/'.join(path)}"

    if all(match(text, sent) is not None for text in texts):
        assert Template.parse(texts[0]).overlap(Template.parse(texts[1])) is not Overlap.NONE
