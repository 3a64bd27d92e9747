"""Whether accounts, keys and certificates hold."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity

_REFRESHES = 'lockgroove_oauth_refreshes_total{service="config",provider="spotify",outcome="%s"}'
_TOKENS = 'lockgroove_oauth_tokens{service="config",provider="spotify",status="%s"}'
_SEALED = 'lockgroove_sealed_records{service="config",key="%s"}'
_ENDS = "lockgroove_tls_certificate_expiry_timestamp_seconds"
_LEFT = f"min by (service) ({_ENDS}) - time()"
_NO_TLS = "the suite of the test has no certificates"

SECRETS = Group(
    name="secrets",
    alerts=(
        Alert(
            name="LockgrooveRefreshesFailing",
            severity=Severity.WARNING,
            summary="Tokens at a provider cannot be refreshed",
            description="{{ $value | humanize }} refreshes at {{ $labels.provider }} failed within 15 minutes.",
            measured='sum by (provider) (increase(lockgroove_oauth_refreshes_total{outcome="failed"}[15m]))',
            condition="> 3",
            minutes=0,
            rare="nobody has an account there",
            fires=Case(
                minutes=20,
                series={_REFRESHES % "failed": "0+0.4x30"},
                says="6 refreshes at spotify failed within 15 minutes.",
                labels={"provider": "spotify"},
            ),
            quiet={_REFRESHES % "failed": "0+0.19x30", _REFRESHES % "refreshed": "0+5x30"},
        ),
        Alert(
            name="LockgrooveAccountsLost",
            severity=Severity.WARNING,
            summary="An account at a provider has to be connected again",
            description="{{ $value }} accounts at {{ $labels.provider }} are refreshed no more.",
            measured='max by (provider) (lockgroove_oauth_tokens{status="failed"})',
            condition="> 0",
            minutes=15,
            fires=Case(
                minutes=16,
                series={_TOKENS % "failed": "2x20"},
                says="2 accounts at spotify are refreshed no more.",
                labels={"provider": "spotify"},
            ),
            quiet={_TOKENS % "failed": "0x20", _TOKENS % "expired": "1x20"},
        ),
        Alert(
            name="LockgrooveSecretsUnreadable",
            severity=Severity.CRITICAL,
            summary="Stored secrets cannot be read by anybody",
            description="{{ $value }} secrets of {{ $labels.service }} were sealed with a key that is not there.",
            measured='max by (service) (lockgroove_sealed_records{key="unreadable"})',
            condition="> 0",
            minutes=5,
            fires=Case(
                minutes=6,
                series={_SEALED % "unreadable": "1x10"},
                says="1 secrets of config were sealed with a key that is not there.",
                labels={"service": "config"},
            ),
            quiet={_SEALED % "unreadable": "0x10", _SEALED % "old": "3x10"},
        ),
        Alert(
            name="LockgrooveSecretsNotResealed",
            severity=Severity.WARNING,
            summary="Secrets are still sealed with an older data key",
            description="{{ $value }} secrets of {{ $labels.service }} have waited for an hour.",
            measured='max by (service) (lockgroove_sealed_records{key="old"})',
            condition="> 0",
            minutes=60,
            fires=Case(
                minutes=61,
                series={_SEALED % "old": "4x70"},
                says="4 secrets of config have waited for an hour.",
                labels={"service": "config"},
            ),
            quiet={_SEALED % "old": "4x58 0x20"},
        ),
        Alert(
            name="LockgrooveCertificateEndsSoon",
            severity=Severity.WARNING,
            summary="A certificate ends within two weeks",
            description="That of {{ $labels.service }} ends in {{ $value | humanizeDuration }}.",
            measured=_LEFT,
            condition="< 1209600",
            minutes=10,
            rare=_NO_TLS,
            fires=Case(
                minutes=20,
                series={f'{_ENDS}{{service="webhooks"}}': "1210140x30"},
                says="That of webhooks ends in 13d 23h 49m 0s.",
                labels={"service": "webhooks"},
            ),
            quiet={f'{_ENDS}{{service="webhooks"}}': "1210800x30"},
        ),
        Alert(
            name="LockgrooveCertificateEnds",
            severity=Severity.CRITICAL,
            summary="A certificate ends within two days",
            description="That of {{ $labels.service }} ends in {{ $value | humanizeDuration }}; then calls fail.",
            measured=_LEFT,
            condition="< 172800",
            minutes=10,
            rare=_NO_TLS,
            fires=Case(
                minutes=20,
                series={f'{_ENDS}{{service="webhooks"}}': "173340x30"},
                says="That of webhooks ends in 1d 23h 49m 0s; then calls fail.",
                labels={"service": "webhooks"},
            ),
            quiet={f'{_ENDS}{{service="webhooks"}}': "174000x30"},
        ),
    ),
)
