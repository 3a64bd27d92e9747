"""Where we differ from Envoy on purpose: every difference has a name, a reason and a sign by which it is known."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.conformance.transcoding.sides import Outcome, Request

Sign = Callable[[Request, Outcome, Outcome], bool]

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_WELL_KNOWN = re.compile(r"(?:[tT]ime|timeOut|time_out|maxAge|Mask|deleted|[bB]ox|anyJson)\.\w+$|anyJson$")
_REPEATED_MESSAGE = re.compile(r"(?:many|children)\.\w+$|times$")
_LOOSE_NUMBER = re.compile(r'[=/"](?:%2B|\+|0[0-9x])')
_LOOSE_TRUTH = re.compile("[=/]1(?=[&/]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`explains` tells by the request and both outcomes, ours first, whether this is it."""

    name: str
    reason: str
    explains: Sign


def same(ours: Outcome, theirs: Outcome) -> bool:
    """Whether the same RPC was called with the same message, and answered alike; or both refused it alike."""
    if (ours.status, ours.method, ours.received) != (theirs.status, theirs.method, theirs.received):
        return False
    return not ours.is_ok or ours.values == theirs.values


def _refused(*complaints: str, when: Callable[[Request], object] = lambda request: True) -> Sign:
    """We refuse with one of these words what Envoy takes."""
    return lambda request, ours, theirs: (
        ours.status == 400
        and theirs.is_ok
        and any(words in ours.complaint for words in complaints)
        and bool(when(request))
    )


def _unfound(when: Callable[[str], object]) -> Sign:
    """We serve nothing at a path at which Envoy does."""
    return lambda request, ours, theirs: ours.status == 404 and theirs.is_ok and bool(when(request.path))


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _is_utf8(text: str) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True


def _unknown(name: re.Pattern[str]) -> Sign:
    """We refuse a parameter of such a name, which Envoy takes."""
    return lambda request, ours, theirs: (
        ours.status == 400
        and theirs.is_ok
        and re.search("is not a parameter|cannot be given in the query", ours.complaint) is not None
        and name.search(ours.complaint.partition(":")[0]) is not None
    )


def _is_only(field: str, ours: Outcome, theirs: Outcome) -> bool:
    """Whether we and Envoy read the same but for one field."""
    mine: Any
    mine, other = ours.received, theirs.received
    if mine is None or other is None or ours.values != theirs.values:
        return False
    mine, other = (type(each).FromString(each.SerializeToString()) for each in (mine, other))
    mine.ClearField(field)
    other.ClearField(field)
    return bool(mine == other)


DIFFERENCES: Sequence[Difference] = (
    Difference(
        name="trailing slash",
        reason="a resource has one URL",
        explains=_unfound(lambda path: path.endswith("/")),
    ),
    Difference(
        name="empty segment",
        reason="a segment is never empty, within ** neither",
        explains=_unfound(lambda path: "//" in path),
    ),
    Difference(
        name="colons",
        reason="what follows a colon in the last segment is a verb, and a verb has neither a second nor no letter",
        explains=_unfound(lambda path: _last(path).endswith(":") or _last(path).count(":") > 1),
    ),
    Difference(
        name="broken escape",
        reason="a % that escapes nothing is a mistake, and not a text",
        explains=_refused("is not followed by two", when=lambda request: _BAD_ESCAPE.search(request.target)),
    ),
    Difference(
        name="not UTF-8",
        reason="the caller learns it at once; behind Envoy the service fails to read the message",
        explains=lambda request, ours, theirs: (
            ours.status == 400 and theirs.status == 500 and not _is_utf8(request.target)
        ),
    ),
    Difference(
        name="loose number",
        reason="05, +5, 0x10 and 1 for true are mistakes more often than numbers",
        explains=lambda request, ours, theirs: (
            _refused("must be true or false", when=lambda request: _LOOSE_TRUTH.search(request.target))(
                request, ours, theirs
            )
            or _refused(
                "must be an integer",
                "must be a number",
                when=lambda request: _LOOSE_NUMBER.search(request.target + request.body.decode("latin-1")),
            )(request, ours, theirs)
        ),
    ),
    Difference(
        name="boolean as a text",
        reason="JSON has booleans of its own",
        explains=_refused("must be true or false", when=lambda request: b'"true"' in request.body),
    ),
    Difference(
        name="number left out",
        reason="pageSize= is what a form sends for a field that nobody filled in",
        explains=lambda request, ours, theirs: (
            ours.is_ok and theirs.status == 400 and b'invalid value ""' in theirs.body and "=" in request.query
        ),
    ),
    Difference(
        name="parameter given twice",
        reason="Envoy takes the last of two values, or adds up masks; one of them was not meant",
        explains=_refused("is given twice", when=lambda request: request.query and not request.body),
    ),
    Difference(
        name="parameter without a name",
        reason="it is unknown, as every other that does not exist",
        explains=_refused("is not a parameter", when=lambda request: re.search(r"(?:^|&)=", request.query)),
    ),
    Difference(
        name="parameter without a value",
        reason="a name alone is an empty text, as in forms; Envoy overlooks it",
        explains=lambda request, ours, theirs: request.query == "words" and _is_only("words", ours, theirs),
    ),
    Difference(
        name="field of a repeated message",
        reason="the query has no way to say which of them is meant",
        explains=_unknown(_REPEATED_MESSAGE),
    ),
    Difference(
        name="inside of a well-known type",
        reason="such a type is one text: its fields are nobody's business",
        explains=_unknown(_WELL_KNOWN),
    ),
    Difference(
        name="empty path in a mask",
        reason="no field has no name",
        explains=_refused("which is no field path"),
    ),
    Difference(
        name="deep parameter",
        reason="32 steps are enough for every message, and more are an attack",
        explains=_refused("is not a parameter", when=lambda request: request.query.count(".") >= 32),
    ),
    Difference(
        name="encoded dot in a name",
        reason="an escape does not change what a parameter means (RFC 3986, 6.2.2.2)",
        explains=lambda request, ours, theirs: (
            ours.is_ok and theirs.status == 400 and "%2e" in request.query.lower() and b"Could not find" in theirs.body
        ),
    ),
    Difference(
        name="parameter for what path or body gives",
        reason="Envoy lets the query win: what a proxy allowed by the path would be done to something else",
        explains=_refused("the path or the body gives it"),
    ),
    Difference(
        name="parameter beside a whole body",
        reason="google.api.http: with body * there are no query parameters",
        explains=_refused("takes its fields from the body"),
    ),
    Difference(
        name="null as the body",
        reason="a body is an object, if it is any",
        explains=_refused("must not be null", when=lambda request: request.body == b"null"),
    ),
    Difference(
        name="unknown field in the body",
        reason="a name that was misspelt would be lost in silence",
        explains=_refused("is not a field that exists here", when=lambda request: b"unheard" in request.body),
    ),
    Difference(
        name="key given twice",
        reason="RFC 8259 leaves open which of two counts, and so each reader has its own",
        explains=_refused("is given twice", "cannot be given together with", when=lambda request: request.body),
    ),
    Difference(
        name="two keys of a map that are one",
        reason='"01" is no way to write 1',
        explains=_refused('["01"]: must be an integer'),
    ),
    Difference(
        name="empty name beside the path",
        reason="a field without presence that is empty was not given, and contradicts nothing",
        explains=lambda request, ours, theirs: (
            ours.is_ok and theirs.status == 400 and b'conflicting with the value ""' in theirs.body
        ),
    ),
    Difference(
        name="capitals in a mask",
        reason="such a path is no field in any spelling: each reader makes another one of it, which services refuse",
        explains=lambda request, ours, theirs: (
            re.search("readMask=[^&]*[A-Z]{2}", request.query) is not None and _is_only("read_mask", ours, theirs)
        ),
    ),
    Difference(
        name="media type",
        reason="a page of another site can send text/plain without being asked, application/json it cannot",
        explains=lambda request, ours, theirs: (
            ours.status == 415 and theirs.is_ok and request.media_type != "application/json"
        ),
    ),
    Difference(
        name="null in an array",
        reason="Envoy leaves such an item out, and all that follow move up",
        explains=_refused("must not be null", when=lambda request: b"[null" in request.body),
    ),
    Difference(
        name="unknown number of an enum",
        reason="nobody can mean a number that has no name",
        explains=_refused("must be one of", when=lambda request: b"99" in request.body),
    ),
    Difference(
        name="one item where an array should be",
        reason="a body has the form that the description says",
        explains=_refused("must be an array", when=lambda request: not request.body.startswith(b"[")),
    ),
    Difference(
        name="no body where an array could be",
        reason="nothing is an empty array, as it is an empty object",
        explains=lambda request, ours, theirs: (
            ours.is_ok and not request.body and b"Starting an object on a scalar" in theirs.body
        ),
    ),
    Difference(
        name="body where none is taken",
        reason="somebody believes that it is read",
        explains=_refused("takes no body"),
    ),
    Difference(
        name="derived mask",
        reason="a PATCH changes what its body names (AIP-134); Envoy leaves the mask to the caller",
        explains=lambda request, ours, theirs: (
            request.verb == "PATCH" and "pdateMask" not in request.query and _is_only("update_mask", ours, theirs)
        ),
    ),
    Difference(
        name="HEAD",
        reason="RFC 9110, 9.3.2: it is answered as GET is",
        explains=lambda request, ours, theirs: (
            request.verb == "HEAD" and ours.status in (200, 400) and theirs.status == 404
        ),
    ),
    Difference(
        name="wrong verb",
        reason="RFC 9110, 15.5.6: the path is known, and Allow says which verbs are",
        explains=lambda request, ours, theirs: ours.status == 405 and theirs.status == 404,
    ),
    Difference(
        name="OPTIONS",
        reason="RFC 9110, 9.3.7: it is answered for every path that is known",
        explains=lambda request, ours, theirs: (
            request.verb == "OPTIONS" and ours.status == 204 and theirs.status == 404
        ),
    ),
)


def explanations(request: Request, ours: Outcome, theirs: Outcome) -> list[str]:
    """The names of the differences that explain an outcome."""
    return [each.name for each in DIFFERENCES if each.explains(request, ours, theirs)]
