"""Upkeep between the domain and the protos."""

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from lockgroove.webhooks.v1 import upkeep_pb2 as pb

from services.webhooks.domain.audit import DEFAULT_CHECKED, AuditQuery, AuditRecord, TrailVerdict
from services.webhooks.domain.reconciling import Finding
from services.webhooks.upkeep.registration import Report


def finding_to_pb(finding: Finding) -> pb.Finding:
    """A finding as callers see it."""
    kind = pb.Finding.Kind.Value(finding.kind)
    return pb.Finding(kind=kind, subject=finding.subject, correction=finding.correction)


def query_from_pb(request: pb.ListAuditRecordsRequest) -> AuditQuery:
    """Which records a caller wants."""
    return AuditQuery(filter=request.filter, page_size=request.page_size, page_token=request.page_token)


def record_to_pb(record: AuditRecord) -> pb.AuditRecord:
    """A record as callers see it."""
    shown = pb.AuditRecord(
        sequence=record.sequence,
        subject=record.subject,
        from_state=record.from_state,
        to_state=record.to_state,
        actor=record.actor,
        detail=ParseDict(dict(record.detail), Struct()),
    )
    shown.create_time.FromDatetime(record.created)
    return shown


def checked_from_pb(request: pb.VerifyAuditTrailRequest) -> int:
    """How many records a check looks at."""
    return request.max_records or DEFAULT_CHECKED


def verdict_to_pb(verdict: TrailVerdict) -> pb.VerifyAuditTrailResponse:
    """What a check found, as callers see it."""
    return pb.VerifyAuditTrailResponse(
        intact=verdict.intact,
        fault=verdict.fault,
        first_sequence=verdict.first,
        last_sequence=verdict.last,
        record_count=verdict.records,
        complete=verdict.complete,
    )


def report_to_pb(report: Report) -> pb.CheckRegistrationResponse:
    """How our registration is, as callers see it."""
    standing = pb.CheckRegistrationResponse.Standing.Value(report.standing)
    shown = pb.CheckRegistrationResponse(standing=standing, message=report.text)
    if report.last_delivery is not None:
        shown.last_delivery_time.FromDatetime(report.last_delivery)
    return shown
