"""All alerts, by group."""

from collections.abc import Sequence

from deploy.monitoring.alerts.acquisition import ACQUISITION
from deploy.monitoring.alerts.alert import Alert, Group
from deploy.monitoring.alerts.availability import AVAILABILITY
from deploy.monitoring.alerts.disks import DISKS
from deploy.monitoring.alerts.providers import PROVIDERS
from deploy.monitoring.alerts.requests import REQUESTS
from deploy.monitoring.alerts.secrets import SECRETS
from deploy.monitoring.alerts.system import SYSTEM
from deploy.monitoring.alerts.webhooks import WEBHOOKS

GROUPS: Sequence[Group] = (AVAILABILITY, REQUESTS, ACQUISITION, WEBHOOKS, PROVIDERS, SECRETS, SYSTEM, DISKS)
ALERTS: Sequence[Alert] = tuple(alert for group in GROUPS for alert in group.alerts)
