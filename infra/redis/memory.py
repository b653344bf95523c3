"""Whether Redis keeps what it is given: its limit of memory, and what it deletes when full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NEAR_THE_LIMIT = 0.9
"""Share of the limit from which people are warned."""

MEND = "CONFIG SET maxmemory-policy noeviction, and the same in its configuration"
_KEEPS = "noeviction"


@dataclass(frozen=True, slots=True)
class Memory:
    """What `INFO memory` says.

    Attributes:
        policy: what is deleted when the limit is reached; None means that Redis does not say it.
        limit_bytes: 0 means none.
        evicted_keys: since the server started.
    """

    policy: str | None
    limit_bytes: int
    used_bytes: int
    evicted_keys: int = 0

    @staticmethod
    def of(info: Mapping[str, Any], policy: str | None = None) -> "Memory":
        """Read the answer.

        Args:
            info: of `INFO memory` or of all of it.
            policy: as `CONFIG GET` gave it, for a server that leaves it out.
        """
        named = str(info.get("maxmemory_policy") or policy or "") or None
        limit = int(info.get("maxmemory") or 0)
        evicted = int(info.get("evicted_keys") or 0)
        return Memory(named, limit, int(info.get("used_memory") or 0), evicted)

    @property
    def used_ratio(self) -> float:
        """Share of the limit that is used; 0 where there is none."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0

    @property
    def may_evict(self) -> bool:
        """Whether the policy deletes keys of the state: they never expire, so volatile ones do not.

        >>> Memory("allkeys-lru", 0, 0).may_evict, Memory("volatile-lru", 1, 0).may_evict
        (True, False)
        """
        policy = self.policy or _KEEPS
        return policy != _KEEPS and not policy.startswith("volatile-")

    @property
    def evicts(self) -> bool:
        """Whether keys of the state are deleted as soon as the limit is reached."""
        return self.may_evict and self.limit_bytes > 0
