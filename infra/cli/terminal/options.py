"""Flags that every connecting command has, and the settings that they lead to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from infra.settings import Settings

_CONNECTION = Group("Connection", sort_key=8)


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where Kafka and Redis are."""

    state: Path | None = None
    """Directory of a running `tidegate up`: its addresses hold."""
    config: Path | None = None
    """TOML file with settings."""
    kafka_bootstrap: str | None = None
    """Brokers, host:port, commas between them."""
    redis_url: str | None = None
    """Redis or Valkey, for example redis://127.0.0.1:6379/0."""
    topic_prefix: str | None = None
    """In front of every topic's name."""
    redis_prefix: str | None = None
    """In front of every Redis key."""

    def settings(self) -> "Settings":
        """Return the settings in force.

        Raises:
            SettingsError: names the field, the rule and the value.
        """
        # Loading it takes the compiler of the kernels along: only when a command is carried out.
        from infra.settings import load_settings

        return load_settings(
            config=self.config,
            state=self.state,
            kafka_bootstrap=self.kafka_bootstrap,
            redis_url=self.redis_url,
            topic_prefix=self.topic_prefix,
            redis_prefix=self.redis_prefix,
        )


NOT_GIVEN = Connection()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Person:
    """Who gives an order, for the audit log."""

    who: str
    """your name, for the audit log."""
    why: str
    """the reason, for the audit log."""


Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""A switch that is off unless given."""

Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
"""A flag for programs: one JSON value instead of text for people."""
