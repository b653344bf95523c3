"""How Redis is spoken to: credentials and certificates, beside what its address says."""

from typing import Any

from infra.kafka.options import tls_context
from infra.redis.keys import Keys, Retention
from infra.settings import Settings, SettingsError


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return what every Redis client gets beside the address.

    Raises:
        SettingsError: a file cannot be read, or does not fit to the address.
    """
    options: dict[str, Any] = {}
    if settings.redis_username is not None:
        options["username"] = settings.redis_username
    if (password := settings.secret("redis_password")) is not None:
        options["password"] = password
    if settings.redis_ca_file is not None:
        if not settings.redis_url.startswith("rediss://"):
            rule = "redis_ca_file must be given with a redis_url that begins with rediss://"
            raise SettingsError(f"{rule}, got {settings.redis_ca_file}")
        tls_context(
            "redis_ca_file", settings.redis_ca_file
        )  # refused now, not at the first command
        options["ssl_ca_certs"] = str(settings.redis_ca_file)
    return options


def keys_of(settings: Settings) -> Keys:
    """Return the names in Redis."""
    return Keys(settings.redis_prefix)


def retention_of(settings: Settings) -> Retention:
    """Return the buckets that Redis keeps."""
    return Retention(
        minutes=settings.minute_ring,
        hours=settings.hour_ring,
        days=settings.day_history,
        decision_days=settings.decision_history_days,
        ring_days=settings.day_ring,
    )
