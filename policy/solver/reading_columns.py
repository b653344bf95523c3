"""Columns of what is read of a policy for one item, and codes of the reasons."""

from policy.codes import Reason

REASON_POSITION_COVERS = int(Reason.POSITION_COVERS)
REASON_COST_OPTIMAL = int(Reason.COST_OPTIMAL)
REASON_SERVICE_TARGET = int(Reason.SERVICE_TARGET)
REASON_SERVICE_OUT_OF_REACH = int(Reason.SERVICE_OUT_OF_REACH)
REASON_LEAN_CAPACITY_BOUND = int(Reason.LEAN_CAPACITY_BOUND)
REASON_MINIMUM_ORDER = int(Reason.MINIMUM_ORDER)
REASON_PACK_SIZE = int(Reason.PACK_SIZE)
REASON_FLEXIBLE_ONLY_SURGE = int(Reason.FLEXIBLE_ONLY_SURGE)
REASON_NO_DEMAND = int(Reason.NO_DEMAND)
REASON_GAP_RULE = int(Reason.GAP_RULE)
REASON_PRICE_BREAK = int(Reason.PRICE_BREAK)

# Columns of a decision's float row.
D_NOTHING = 0
D_LEAN = 1
D_FLEXIBLE = 2
D_BOTH = 3
D_PREMIUM = 4
D_HOLDING = 5
D_BACKORDER = 6
D_REVIEW_SERVICE = 7
READINGS = 8

# Columns of a decision's row of whole numbers.
O_LEAN = 0
O_FLEXIBLE = 1
O_REASON = 2
O_CANDIDATES = 3  # (lean, flexible) units of: lean only, flexible only, both
ORDERS = 9
