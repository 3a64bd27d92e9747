"""The settings' rules, as the proto states them (buf.validate), said about values by their paths."""

from collections.abc import Mapping

from lockgroove.config.v1 import config_pb2 as pb
from protovalidate import Validator

from libs.errors import Violation
from services.config import convert
from services.config.domain.catalogue import Catalogue


class ProtoRules:
    """Checks values with the rules of the proto. A rule that does not compile raises here, at the start."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._validator = Validator()
        self._validator.collect_violations(pb.Settings())

    def check(self, texts: Mapping[str, str]) -> list[Violation]:
        """What is wrong with these values; never quotes one."""
        message = convert.message_of(self._catalogue, texts)
        found = [violation.proto for violation in self._validator.collect_violations(message)]
        return [
            Violation(
                field=".".join(element.field_name for element in each.field.elements) if each.field else "",
                description=each.message,
                reason=each.rule_id,
            )
            for each in found
        ]
