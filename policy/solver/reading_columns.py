"""Columns of what is read of a policy for one item, and codes of the reasons."""

REASON_POSITION_COVERS = 0
REASON_COST_OPTIMAL = 1
REASON_SERVICE_TARGET = 2
REASON_SERVICE_OUT_OF_REACH = 3
REASON_LEAN_CAPACITY_BOUND = 4
REASON_MINIMUM_ORDER = 5
REASON_PACK_SIZE = 6
REASON_FLEXIBLE_ONLY_SURGE = 7
REASON_NO_DEMAND = 8
REASON_GAP_RULE = 9
REASON_PRICE_BREAK = 10

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
