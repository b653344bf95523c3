"""A worker's own account of itself."""

import json
import urllib.error
import urllib.request

from infra.cli.health.check import CHECK_SECONDS, Check, Status
from infra.cli.health.shards import HOLD_ADVICE
from infra.settings import Settings


def ask_ready(url: str, settings: Settings) -> Check:
    """Return whether the worker at an admin port is ready, and what it owns."""
    token = settings.secret("viewer_token") or settings.secret("operator_token")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/readyz", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=CHECK_SECONDS) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        reasons = "; ".join(json.load(error).get("reasons", [])) or f"HTTP {error.code}"
        return Check(
            "worker", Status.FAIL, f"not ready: {reasons}", f"see its log, and {url}/metrics"
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            text = f"{url} did not answer within {CHECK_SECONDS:g} s"
            return Check("worker", Status.WARN, text, "it is busy, or it hangs: ask again")
        advice = "did the worker end? start `tidegate up` again"
        return Check("worker", Status.FAIL, f"{url} does not answer: {reason}", advice)
    owned = answer.get("partitions", [])
    if not owned:
        return Check("worker", Status.WARN, "ready, and owns no partition", "too many workers?")
    listed = ", ".join(map(str, owned))
    if held := "; ".join(answer.get("handover", [])):
        text = f"ready, owns partitions {listed}, holds orders: {held}"
        return Check("worker", Status.WARN, text, HOLD_ADVICE)
    return Check("worker", Status.OK, f"ready, owns partitions {listed} ({url})")
