"""Automations between the domain and the protos."""

from lockgroove.config.v1 import automations_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.config.automations.guard import Status
from services.config.domain.automations import Action, Automation, Change
from services.config.domain.safety import Switch, Verdict

_COLLECTION = "automations/"
_CHANGEABLE = ("enabled", "interval")


def automation_id(name: str, *, field: str = "name") -> str:
    """The id in `automations/{automation}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field(field, "must be automations/{automation}")
    return name.removeprefix(_COLLECTION)


def automation_to_pb(automation: Automation, switch: Switch) -> pb.Automation:
    """The automation as callers see it."""
    shown = pb.Automation(
        name=automation.name,
        title=automation.kind.title,
        description=automation.kind.description,
        enabled=automation.enabled,
        state=pb.Automation.State.Value(automation.state(switch)),
        next_run_time=timestamp(automation.next_run_at),
        last_run_time=timestamp(automation.last_run_at),
        last_result=automation.last_result,
        actor=automation.actor,
        update_time=timestamp(automation.updated_at),
        etag=automation.etag,
    )
    shown.interval.FromTimedelta(automation.interval)
    return shown


def change_from_pb(request: pb.UpdateAutomationRequest, *, actor: str) -> Change:
    """What a caller wants to be different; raises InvalidArgument, naming the field."""
    sent, held = request.automation, [field.name for field, _ in request.automation.ListFields()]
    paths = list(request.update_mask.paths) or [name for name in _CHANGEABLE if name in held]
    for path in paths:
        if path not in _CHANGEABLE:
            raise InvalidArgument.field("update_mask", f"{path} cannot be changed", reason="FIELD_NOT_CHANGEABLE")
        if path not in held:
            raise InvalidArgument.field(f"automation.{path}", "must be said: it is in the mask", reason="REQUIRED")
    return Change(
        enabled=sent.enabled if "enabled" in paths else None,
        interval=sent.interval.ToTimedelta() if "interval" in paths else None,
        etag=sent.etag,
        actor=actor,
    )


def action_to_pb(action: Action) -> pb.AutomationAction:
    """The action as callers see it."""
    return pb.AutomationAction(
        automation=f"{_COLLECTION}{action.automation}",
        user_id=action.user,
        target=action.target,
        description=action.description,
        status=pb.AutomationAction.Status.Value(action.status),
        reason=action.reason,
        action_time=timestamp(action.acted_at),
    )


def verdict_to_pb(verdict: Verdict) -> pb.CheckLimitsResponse:
    """Whether it is allowed."""
    shown = pb.CheckLimitsResponse(allowed=verdict.allowed, reason=verdict.reason, message=verdict.message)
    if verdict.retry_after is not None:
        shown.retry_after.FromTimedelta(verdict.retry_after)
    return shown


def status_to_pb(status: Status) -> pb.SafetyStatus:
    """How it stands."""
    limits = status.limits
    return pb.SafetyStatus(
        global_kill_switch_enabled=status.switch is not Switch.OFF,
        user_config=pb.SafetyStatus.Limits(
            dry_run_mode=limits.dry_run,
            max_actions_per_target_per_day=limits.per_target_and_day,
            max_actions_per_user_per_5min=limits.per_user_and_burst,
            max_actions_per_user_per_hour=limits.per_user_and_hour,
            oauth_failure_threshold=limits.failures,
        ),
        current_usage=pb.SafetyStatus.Usage(
            actions_last_5min=status.in_burst,
            actions_last_hour=status.in_hour,
            oauth_failures_recent=status.failures,
        ),
        status=pb.SafetyStatus.PAUSED if status.reason else pb.SafetyStatus.ACTIVE,
        reason=status.reason or "",
        user_id=status.user,
    )
