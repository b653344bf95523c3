"""All settings, typed, from a file, the environment and flags; checked before anything starts.

Precedence: flags, then environment (`TIDEGATE_...`), then the file, then the defaults here.
"""

import json
import os
import socket
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.settings import (
    AlertSettings,
    DecodeLimits,
    GateThresholds,
    Limits,
    OrderFeedSettings,
    ReviewSettings,
    ShardSettings,
    SurgeSettings,
    TimelineSettings,
    WorkerSettings,
)
from streams.timestamps import BAD_TIMESTAMP, DAY_MS, HOUR_MS, one_time

Positive = Annotated[int, Field(gt=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]
PositiveMoney = Annotated[float, Field(gt=0, allow_inf_nan=False)]

SHORTEST_TOKEN = 16

FIRST_START = "first_start"
ALWAYS = "1970-01-01T00:00:00Z"
"""What `live_from` can be: when the shop's first worker started, and a time before every event."""

# What belongs to a part of the worker has its default there.
_WORKER = WorkerSettings()
_SHARD = _WORKER.shard
_TIMELINE = _SHARD.timeline


class SettingsError(ValueError):
    """A setting is wrong; the text names the field, the rule and the value."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="TIDEGATE_", extra="forbid", frozen=True, validate_default=True
    )

    kafka_bootstrap: str = Field(
        "127.0.0.1:9092", description="Kafka brokers, host:port, with commas between them"
    )
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="protocol of the connections to the brokers"
    )
    kafka_ca_file: Path | None = Field(
        None,
        description="CA certificates that sign the brokers' certificates, PEM",
    )
    kafka_certificate_file: Path | None = Field(
        None, description="client certificate, PEM; needs kafka_key_file"
    )
    kafka_key_file: Path | None = Field(
        None, description="key of the client certificate, PEM, without a passphrase"
    )
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None,
        description="SASL mechanism; required by sasl_plaintext and sasl_ssl, refused otherwise",
    )
    kafka_username: str | None = Field(None, description="user for PLAIN and SCRAM")
    kafka_password: SecretStr | None = Field(None, description="password of kafka_username")
    kafka_password_file: Path | None = Field(
        None, description="file with that password, instead of kafka_password"
    )
    kafka_token_file: Path | None = Field(
        None, description="file with the OAUTHBEARER token; read again at each login"
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis or Valkey, 7.2 or newer: redis://, rediss:// or unix://",
        repr=False,
    )
    redis_username: str | None = Field(None, description="user of Redis's access list")
    redis_password: SecretStr | None = Field(
        None, description="password of redis_username, or of the default user"
    )
    redis_password_file: Path | None = Field(
        None, description="file with that password, instead of redis_password"
    )
    redis_ca_file: Path | None = Field(
        None, description="CA certificates that sign Redis's certificate, PEM"
    )
    group_id: str = Field("tidegate", description="consumer group of the workers")
    topic_prefix: str = Field("", description="put in front of every topic name")
    redis_prefix: str = Field("tg:", description="put in front of every Redis key")
    partitions: Positive = Field(
        4,
        description="partitions of the topics that Tidegate creates; existing input topics decide",
    )
    replication_factor: Positive = Field(
        1, description="replicas of the topics that Tidegate creates"
    )
    session_timeout_seconds: PositiveSeconds = Field(
        30.0, description="a worker that is silent this long loses its partitions to the others"
    )
    admin_host: str = Field(
        "127.0.0.1",
        description="address that the admin port listens on; off loopback a token is required",
    )
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8080, description="port of the page, the API, /metrics and the probes; 0 picks a free one"
    )
    admin_open_probes: bool = Field(
        False, description="off loopback, /livez and /readyz need no token, and then give no reason"
    )
    viewer_token: SecretStr | None = Field(
        None, description="token of the viewer role: may read; at least 16 characters"
    )
    viewer_token_file: Path | None = Field(
        None, description="file with that token, instead of viewer_token"
    )
    operator_token: SecretStr | None = Field(
        None, description="token of the operator role: may also change; at least 16 characters"
    )
    operator_token_file: Path | None = Field(
        None, description="file with that token, instead of operator_token"
    )

    live_from: str = Field(
        FIRST_START,
        description="reviews of event time before this order nothing: a time (RFC 3339), or "
        "first_start, when the shop's first worker started",
    )
    public_url: str | None = Field(
        None,
        description="address at which people reach the page, for links in alerts; by default that "
        "of the admin port",
    )
    grafana_url: str | None = Field(
        None, description="address of Grafana, for links to dashboards in alerts and on the page"
    )

    tick_seconds: Positive = Field(
        _TIMELINE.tick_ms // 1000,
        description="event time between two runs of the detectors; must divide 3600",
    )
    allowed_lateness_seconds: Annotated[int, Field(ge=0)] = Field(
        _SHARD.allowed_lateness_ms // 1000,
        description="how far events may be out of order; an older one counts at the topic's clock",
    )
    grace_seconds: Positive = Field(
        _SHARD.grace_ms // 1000,
        description="an older event is not counted: it goes to `<topic>.late`",
    )
    minute_ring: Positive = Field(_SHARD.minutes, description="minutes of sums that are kept")
    hour_ring: Positive = Field(_SHARD.hours, description="hours of sums that are kept")
    day_ring: Annotated[int, Field(ge=4)] = Field(
        _SHARD.days, description="days of sums that a shard works on, at least twice grace_seconds"
    )
    day_history: Positive = Field(
        400, description="days of sums that Redis keeps, at least day_ring"
    )
    decision_history_days: Positive = Field(400, description="days of decisions that Redis keeps")
    dedupe_keys: Positive = Field(
        _SHARD.dedupe_keys,
        description="event ids remembered per topic and partition: at least so many, at most twice",
    )
    order_keys: Positive = Field(
        _SHARD.order_keys,
        description="orders remembered per partition, to count each once: at least so many",
    )
    open_lines: Positive = Field(
        _SHARD.timeline.open_lines,
        description="open order lines remembered per partition: at least so many, at most twice; "
        "beyond that the oldest leave the backlog",
    )
    record_bytes: Positive = Field(
        _WORKER.limits.record_bytes,
        description="largest record that is read; a larger one is a dead letter",
    )
    future_seconds: Positive = Field(
        _WORKER.limits.future_ms // 1000,
        description="a record dated further ahead of its write time is a dead letter",
    )

    minimum_history_days: Annotated[int, Field(ge=1)] = Field(
        _TIMELINE.review.minimum_days,
        description="closed days of demand before the first purchase order of an item",
    )
    stock_valid_days: Positive = Field(
        _TIMELINE.review.stock_valid_ms // DAY_MS,
        description="no purchase order for an item whose last count is older",
    )
    false_surge_items_per_100000: Annotated[float, Field(gt=0, le=10_000)] = Field(
        _TIMELINE.surge.false_items_per_100000,
        description="budget of false surge alarms in one sale, items of 100,000, all tests",
    )
    sale_days: PositiveSeconds = Field(
        _TIMELINE.surge.sale_days, description="length of the sale that this budget is for"
    )
    surge_minimum_days: Annotated[int, Field(ge=1)] = Field(
        int(_TIMELINE.surge.minimum_days),
        description="days of history of an item before its surge test begins",
    )
    dispatch_promise_hours: PositiveSeconds = Field(
        _TIMELINE.alerts.dispatch_promise_ms / HOUR_MS,
        description="customers' orders that wait longer to be dispatched are an incident",
    )
    silent_arrivals: PositiveSeconds = Field(
        _TIMELINE.alerts.order_feed.silent_arrivals,
        description="the order feed counts as stale when this many expected orders are missing",
    )

    approval_amount: PositiveMoney | None = Field(
        None,
        description="a larger purchase order waits for `approved`; in the item's currency",
    )
    cap_units_per_item_day: Positive | None = Field(
        None,
        description="purchase orders beyond so many units of an item a day wait for a person",
    )
    cap_amount_per_item_day: PositiveMoney | None = Field(
        None,
        description="the same for the amount of an item a day, in the item's currency",
    )
    draft_expiry_hours: PositiveSeconds | None = Field(
        None,
        description="an order that waits for a person for longer is rejected; not set: never",
    )
    handover_lag_records: Positive = Field(
        _WORKER.handover.lag_records,
        description="hand-over stops when a partition has more unread records",
    )
    handover_lag_seconds: PositiveSeconds = Field(
        _WORKER.handover.lag_s, description="hand-over stops when the oldest unread record is older"
    )
    handover_clock_seconds: PositiveSeconds = Field(
        _WORKER.handover.clock_s,
        description="hand-over stops when the machine's clock and the logs differ by more",
    )
    handover_calm_seconds: Annotated[float, Field(ge=0)] = Field(
        _WORKER.handover.calm_s,
        description="hand-over resumes after this long below half of the three limits above",
    )

    commit_interval_ms: Annotated[float, Field(ge=0)] = Field(
        _WORKER.commit_interval_s * 1000, description="shortest time between two commits of a shard"
    )
    heartbeat_interval_seconds: PositiveSeconds = Field(
        _WORKER.heartbeat_interval_s,
        description="time between heartbeats that a worker writes to live input topics",
    )
    live_within_seconds: PositiveSeconds = Field(
        _WORKER.live_within_s,
        description="a log whose newest event is this close to the clock is live, not a replay",
    )
    stuck_after_seconds: PositiveSeconds = Field(
        _WORKER.stuck_after_s,
        description="/livez fails when records wait and none was read for this long",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe messages that are logged"
    )

    @field_validator("tick_seconds")
    @classmethod
    def _divides_an_hour(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError("must divide 3600")
        return value

    @field_validator("live_from")
    @classmethod
    def _is_time(cls, value: str) -> str:
        if value != FIRST_START and one_time(value) == BAD_TIMESTAMP:
            raise ValueError(f"must be {FIRST_START} or a time, as 2026-11-20T08:00:00Z")
        return value

    @field_validator("public_url", "grafana_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return None if value is None else value.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if self.grace_seconds < self.allowed_lateness_seconds:
            raise ValueError("grace_seconds must be >= allowed_lateness_seconds")
        if self.grace_seconds * 1000 > (self.day_ring // 2) * DAY_MS:
            raise ValueError("grace_seconds must be at most half of day_ring")
        if self.day_history < self.day_ring:
            raise ValueError("day_history must be >= day_ring")
        self._require_credentials()
        return self

    def _require_credentials(self) -> None:
        for name in _SECRETS:
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} and {name}_file must not both be given")
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("kafka_certificate_file and kafka_key_file must be given together")
        if ("sasl" in self.kafka_security) != (self.kafka_sasl is not None):
            raise ValueError(
                "kafka_sasl must be given with kafka_security sasl_plaintext or sasl_ssl, "
                f"and only then, got {self.kafka_security}"
            )
        if self.kafka_sasl == "OAUTHBEARER":
            if self.kafka_token_file is None:
                raise ValueError("kafka_token_file must be given with kafka_sasl OAUTHBEARER")
        elif self.kafka_sasl is not None and (
            self.kafka_username is None
            or (self.kafka_password is None and self.kafka_password_file is None)
        ):
            raise ValueError(
                "kafka_username, and kafka_password or kafka_password_file, must be given with "
                f"kafka_sasl {self.kafka_sasl}"
            )

    def secret(self, name: str) -> str | None:
        """Return a secret from its setting or its file; None when neither is set.

        Raises:
            SettingsError: the file cannot be read, or is empty.
        """
        given: SecretStr | None = getattr(self, name)
        if given is not None:
            return given.get_secret_value()
        path: Path | None = getattr(self, f"{name}_file")
        return None if path is None else read_secret(f"{name}_file", path)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment; the file is merged into the lowest place by `load_settings`."""
        return (init_settings, env_settings)

    # -- what each part gets ------------------------------------------------------------------

    def limits(self) -> Limits:
        """Return the limits above which an order waits for a person."""
        return Limits(
            self.approval_amount, self.cap_units_per_item_day, self.cap_amount_per_item_day
        )

    def worker(self) -> WorkerSettings:
        """Return the settings of the worker and its shards."""
        return WorkerSettings(
            handover=GateThresholds(
                lag_records=self.handover_lag_records,
                lag_s=self.handover_lag_seconds,
                clock_s=self.handover_clock_seconds,
                calm_s=self.handover_calm_seconds,
            ),
            order_limits=self.limits(),
            commit_interval_s=self.commit_interval_ms / 1000,
            heartbeat_interval_s=self.heartbeat_interval_seconds,
            live_within_s=self.live_within_seconds,
            stuck_after_s=self.stuck_after_seconds,
            limits=DecodeLimits(self.record_bytes, self.future_seconds * 1000),
            shard=self._shard(),
        )

    def _shard(self) -> ShardSettings:
        return ShardSettings(
            allowed_lateness_ms=self.allowed_lateness_seconds * 1000,
            grace_ms=self.grace_seconds * 1000,
            minutes=self.minute_ring,
            hours=self.hour_ring,
            days=self.day_ring,
            dedupe_keys=self.dedupe_keys,
            order_keys=self.order_keys,
            timeline=TimelineSettings(
                tick_ms=self.tick_seconds * 1000,
                open_lines=self.open_lines,
                limits=self.limits(),
                surge=SurgeSettings(
                    false_items_per_100000=self.false_surge_items_per_100000,
                    sale_days=self.sale_days,
                    minimum_days=self.surge_minimum_days,
                ),
                review=ReviewSettings(
                    minimum_days=self.minimum_history_days,
                    stock_valid_ms=self.stock_valid_days * DAY_MS,
                    live_from_ms=0 if self.live_from == FIRST_START else one_time(self.live_from),
                ),
                alerts=AlertSettings(
                    dispatch_promise_ms=round(self.dispatch_promise_hours * HOUR_MS),
                    order_feed=OrderFeedSettings(silent_arrivals=self.silent_arrivals),
                ),
            ),
        )

    def page_url(self) -> str:
        """Return the address of the page: the one for people, else that of the admin port."""
        host = self.admin_host
        if host in ("0.0.0.0", "::"):  # it listens everywhere, which is no address to go to
            host = socket.gethostname()
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.admin_port}"

    def public(self) -> dict[str, Any]:
        """Return the settings as JSON values, without any secret: safe to show and to store."""
        values = self.model_dump(mode="json", exclude=set(_SECRETS))
        return {**values, "redis_url": without_password(self.redis_url)}

    def environment(self) -> dict[str, str]:
        """Return the variables by which another process gets the same settings, secrets too."""
        values = {**self.model_dump(mode="json", exclude_none=True), "redis_url": self.redis_url}
        for name in _SECRETS:
            if (given := getattr(self, name)) is not None:
                values[name] = given.get_secret_value()
        return {f"TIDEGATE_{name.upper()}": str(value) for name, value in values.items()}


_SECRETS = ("kafka_password", "redis_password", "viewer_token", "operator_token")
STATE_FILE = "tidegate.json"


def read_secret(name: str, path: Path) -> str:
    """Return the only line of a file.

    Raises:
        SettingsError: it cannot be read, or is empty; what it holds is never named.
    """
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SettingsError(f"{name} must be a readable file, got {path}: {reason}") from None
    if not text:
        raise SettingsError(f"{name} must hold a secret, got the empty file {path}")
    return text


def without_password(url: str) -> str:
    """Return an address with its password hidden.

    >>> without_password("redis://ops:secret@cache:6379/0?password=secret")
    'redis://ops:***@cache:6379/0?***'
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    hidden = f"{name}{colon}{'***' if colon else ''}{at}{host}"
    shown = url.replace(parts.netloc, hidden, 1) if at else url
    return shown.replace(parts.query, "***") if "password" in parts.query else shown


def load_settings(
    *, config: Path | None = None, state: Path | None = None, **flags: Any
) -> Settings:
    """Return the settings in force.

    Args:
        config: TOML file. None means the file that `TIDEGATE_CONFIG` names, if any.
        state: directory of a running `tidegate up`; its addresses override everything but flags.
        flags: settings given on the command line; None means not given.

    Raises:
        SettingsError: names the field, the rule and the value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if state is not None:
        given = {**_read_state(state), **given}
    path = config or (
        Path(os.environ["TIDEGATE_CONFIG"]) if "TIDEGATE_CONFIG" in os.environ else None
    )
    if path is not None:
        from_file = _read_toml(path)
        shadowed = {name for name in from_file if f"TIDEGATE_{name.upper()}" in os.environ}
        given = {**{k: v for k, v in from_file.items() if k not in shadowed}, **given}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"config must be a readable TOML file, got {path}: {error}") from None


def _read_state(directory: Path) -> dict[str, Any]:
    path = directory / STATE_FILE
    try:
        state: dict[str, Any] = json.loads(path.read_text())["settings"]
    except FileNotFoundError:
        raise SettingsError(
            f"state must be the directory of a running `tidegate up`, got {directory}: "
            f"{STATE_FILE} is not there"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"state must hold a readable {STATE_FILE}, got {path}: {error}"
        ) from None
    return state


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        rule = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            lines.append(f"{name} is no setting")
        elif name:
            is_secret = "url" in name or name in _SECRETS
            shown = "(hidden)" if is_secret else repr(problem["input"])
            lines.append(f"{name}: {rule}, got {shown}")
        else:
            lines.append(rule)
    return "; ".join(lines)
