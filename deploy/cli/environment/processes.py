"""Every service can read what it is told at its start."""

from collections.abc import Iterator

from deploy.cli.environment.finding import Environment, Finding, errors
from libs.errors import AppError
from services.acquisition.settings import Settings as AcquisitionSettings
from services.config.settings import Settings as ConfigSettings
from services.gateway.settings import Settings as GatewaySettings
from services.webhooks.settings import Settings as WebhooksSettings


def processes(environment: Environment) -> Iterator[Finding]:
    """What one of them would end at."""
    for each in (AcquisitionSettings, WebhooksSettings, ConfigSettings, GatewaySettings):
        try:
            each.from_environment(environment)
        except AppError as fault:
            yield from errors(fault, each.__module__)


def listening(environment: Environment) -> dict[str, str]:
    """Where gRPC is, by the variable that says so."""
    return {
        "LOCKGROOVE_ACQUISITION_LISTEN": AcquisitionSettings.from_environment(environment).listen,
        "LOCKGROOVE_WEBHOOKS_LISTEN": WebhooksSettings.from_environment(environment).listen,
        "LOCKGROOVE_CONFIG_LISTEN": ConfigSettings.from_environment(environment).listen,
    }
