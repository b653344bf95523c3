"""Alertmanager's API, as far as Tidegate asks anything of it: silences."""

import json
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

_TIMEOUT_SECONDS = 10.0


class AlertmanagerError(RuntimeError):
    """Alertmanager cannot be reached, or refuses; the message says which and why."""


@dataclass(frozen=True)
class Matcher:
    """Which alerts a silence is about: the value of one label."""

    name: str
    value: str
    isRegex: bool = False


@dataclass(frozen=True)
class Silence:
    """Keeps alerts quiet from one time to another, and says who wished so and why.

    Times are RFC 3339.
    """

    matchers: list[Matcher]
    starts_at: str
    ends_at: str
    created_by: str
    comment: str

    def as_posted(self) -> dict[str, Any]:
        """Return it in the API's own words."""
        return {
            "matchers": [asdict(matcher) for matcher in self.matchers],
            "startsAt": self.starts_at,
            "endsAt": self.ends_at,
            "createdBy": self.created_by,
            "comment": self.comment,
        }


class Alertmanager:
    """A running Alertmanager.

    Args:
        url: for example http://127.0.0.1:9093.

    Raises:
        ValueError: the URL is not HTTP.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"alertmanager must begin with http:// or https://, got {url!r}")
        self._url = url.rstrip("/")

    def silences(self) -> list[dict[str, Any]]:
        """Return the silences that are active or still to come."""
        found: list[dict[str, Any]] = self._ask("/api/v2/silences")
        return [silence for silence in found if silence["status"]["state"] != "expired"]

    def silence(self, silence: Silence) -> str:
        """Make a silence; return its id. The same one once more returns the id it has."""
        posted = silence.as_posted()
        for known in self.silences():
            if known["comment"] == posted["comment"] and _same_times(known, posted):
                return str(known["id"])
        return str(self._ask("/api/v2/silences", posted)["silenceID"])

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read(1_000).decode(errors="replace").strip()
            raise AlertmanagerError(f"Alertmanager refuses ({error.code}): {said}") from None
        except (OSError, ValueError) as error:
            raise AlertmanagerError(
                f"Alertmanager does not answer at {self._url}: {error}"
            ) from None


def _same_times(known: dict[str, Any], posted: dict[str, Any]) -> bool:
    """Compare the ends: Alertmanager writes milliseconds, and moves a start that is past to now."""
    ends: tuple[str, str] = (known["endsAt"], posted["endsAt"])
    return ends[0][:19] == ends[1][:19]
