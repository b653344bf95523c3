"""One item in a stated world under the live rule: what it costs and serves, and what trouble does.

`case` reads a case, `world` plays its days, `result` counts them, `answer` puts all together.
"""

from policy.studies.item.answer import answer_case

__all__ = ["answer_case"]
