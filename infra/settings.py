"""All settings, typed, from a file, the environment and flags; checked before anything starts.

Precedence: flags, then environment (`TIDEGATE_...`), then the file, then the defaults here.
"""

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from infra.keys import Keys
from infra.store import Retention
from streams.alerts import AlertSettings
from streams.decode import DecodeLimits
from streams.review import ReviewSettings
from streams.rings import DAY_MS
from streams.shard import ShardSettings
from streams.surge import SurgeSettings
from streams.timeline import TimelineSettings
from streams.worker import WorkerSettings

Positive = Annotated[int, Field(gt=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]


class SettingsError(ValueError):
    """A setting is wrong; the text names the field, the rule and the value."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="TIDEGATE_", extra="forbid", frozen=True, validate_default=True
    )

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="brokers, host:port, commas between")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey, 7.2 or newer")
    group_id: str = Field("tidegate", description="consumer group of the workers")
    topic_prefix: str = Field("", description="in front of every topic's name")
    redis_prefix: str = Field("tg:", description="in front of every Redis key")
    partitions: Positive = Field(4, description="of the input topics, where Tidegate makes them")
    replication_factor: Positive = Field(1, description="of topics that Tidegate makes")
    session_timeout_seconds: PositiveSeconds = Field(
        30.0, description="without a sign of life before a worker's partitions move on"
    )
    admin_host: str = Field("127.0.0.1", description="where /metrics, /livez and /readyz listen")
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = Field(8080, description="0: any free port")

    tick_seconds: Positive = Field(
        60, description="event time between detector ticks; divides 3600"
    )
    allowed_lateness_seconds: Annotated[int, Field(ge=0)] = Field(
        10, description="an older event takes effect at its topic's clock"
    )
    grace_seconds: Positive = Field(86_400, description="an older event goes to the late topic")
    minute_ring: Positive = Field(60, description="minutes kept")
    hour_ring: Positive = Field(48, description="hours kept")
    day_ring: Annotated[int, Field(ge=4)] = Field(35, description="days that a shard works on")
    day_history: Positive = Field(400, description="days kept in Redis")
    decision_history_days: Positive = Field(400, description="days of decisions kept in Redis")
    dedupe_keys: Positive = Field(
        1_000_000, description="event ids remembered per topic and partition, at the least"
    )
    order_keys: Positive = Field(1_000_000, description="orders remembered per partition")
    record_bytes: Positive = Field(65_536, description="largest record that is read")
    future_seconds: Positive = Field(600, description="a record dated further ahead is refused")

    minimum_history_days: Annotated[int, Field(ge=1)] = Field(
        2, description="closed days of demand before the first order"
    )
    stock_valid_days: Positive = Field(400, description="an older count is no stock to order on")
    surge_threshold: Annotated[float, Field(gt=1)] = Field(1e4, description="of the surge test")
    surge_minimum_days: Annotated[int, Field(ge=1)] = Field(3, description="before the test begins")
    silent_orders: PositiveSeconds = Field(30.0, description="missing orders: the input is stale")

    commit_interval_ms: Annotated[float, Field(ge=0)] = Field(10.0, description="at the least")
    heartbeat_interval_seconds: PositiveSeconds = Field(1.0, description="in live input topics")
    live_within_seconds: PositiveSeconds = Field(300.0, description="of now: a log is live")
    stuck_after_seconds: PositiveSeconds = Field(60.0, description="records wait, none is read")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("tick_seconds")
    @classmethod
    def _divides_an_hour(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError("must divide 3600")
        return value

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
        return self

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

    def keys(self) -> Keys:
        """Names in Redis."""
        return Keys(self.redis_prefix)

    def retention(self) -> Retention:
        """Buckets that Redis keeps."""
        return Retention(
            minutes=self.minute_ring,
            hours=self.hour_ring,
            days=self.day_history,
            decision_days=self.decision_history_days,
            ring_days=self.day_ring,
        )

    def worker(self) -> WorkerSettings:
        """What the worker and its shards get."""
        return WorkerSettings(
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
                surge=SurgeSettings(
                    threshold=self.surge_threshold, minimum_days=self.surge_minimum_days
                ),
                review=ReviewSettings(
                    minimum_days=self.minimum_history_days,
                    stock_valid_ms=self.stock_valid_days * DAY_MS,
                ),
                alerts=AlertSettings(silent_orders=self.silent_orders),
            ),
        )


STATE_FILE = "tidegate.json"


def load_settings(
    *, config: Path | None = None, state: Path | None = None, **flags: Any
) -> Settings:
    """Return the settings in force.

    Args:
        config: TOML file; none: the one that `TIDEGATE_CONFIG` names, if any.
        state: directory of a running `tidegate up`, whose addresses come before everything else
            but flags.
        flags: settings given on the command line; none means not given.

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
            shown = "(hidden)" if "url" in name else repr(problem["input"])
            lines.append(f"{name}: {rule}, got {shown}")
        else:
            lines.append(rule)
    return "; ".join(lines)
