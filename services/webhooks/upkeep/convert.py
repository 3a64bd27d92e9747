"""Upkeep between the domain and the protos."""

from lockgroove.webhooks.v1 import upkeep_pb2 as pb

from services.webhooks.domain.reconciling import Finding


def finding_to_pb(finding: Finding) -> pb.Finding:
    """A finding as callers see it."""
    kind = pb.Finding.Kind.Value(finding.kind)
    return pb.Finding(kind=kind, subject=finding.subject, correction=finding.correction)
