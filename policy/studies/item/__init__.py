"""One item in a stated world under the live rule: what it costs and serves, and what trouble does.

`case` reads a case, `world` plays its days, `result` counts them, `answer` puts all together.
"""

from policy.studies.item.answer import simulate_item

__all__ = ["simulate_item"]
