"""Names of the columns that the kernels of one item share: its parameters, tables and answer."""

from policy.codes import DemandFamily, ServiceType

# Columns of a parameter row. Times in days, money per unit, order or unit and day, lots in units.
P_MEAN = 0
P_SD = 1
P_REVIEW = 2
P_LEAN_DAYS = 3
P_FLEXIBLE_DAYS = 4
P_LEAN_SETUP = 5
P_FLEXIBLE_SETUP = 6
P_LEAN_UNIT = 7
P_FLEXIBLE_UNIT = 8
P_HOLDING = 9
P_BACKORDER = 10
P_TARGET = 11
P_SERVICE_TYPE = 12
P_CAPACITY = 13
P_LEAN_LEAST = 14
P_FLEXIBLE_LEAST = 15
P_LEAN_PACK = 16
P_FLEXIBLE_PACK = 17
P_FAMILY = 18
PARAMETERS = 19

SERVICE_COST = int(ServiceType.COST)
SERVICE_CYCLE = int(ServiceType.CYCLE)
SERVICE_FILL = int(ServiceType.FILL)
SERVICE_PAPER = int(ServiceType.PAPER)

FAMILY_AUTO = int(DemandFamily.AUTO)
FAMILY_NORMAL = int(DemandFamily.NORMAL)
FAMILY_POISSON = int(DemandFamily.POISSON)
FAMILY_NEGATIVE_BINOMIAL = int(DemandFamily.NEGATIVE_BINOMIAL)
FAMILY_GAMMA = int(DemandFamily.GAMMA)

LEVELS_CAP = 720
"""Most levels of a lattice: a lot or a capacity may ask for finer cells than other rows."""

# Rows of the tables that a review reads, one column per level: cost of each candidate, premium.
T_NOTHING = 0
T_LEAN = 1
T_FLEXIBLE = 2
T_BOTH = 3
T_PREMIUM = 4
# What the costs are made of, from this level on; the candidates are priced again after rounding.
T_WAIT = 5  # stock cost of the days before the flexible delivery
T_FAST = 6  # of the days between the two deliveries
T_AFTER = 7  # of the days after the lean delivery
T_PRICED = 8  # the service target's price on stock-outs between the two deliveries
T_SHORT = 9  # P(what is there at this level does not last until the end of the days decided)
TABLES = 10

# Rows of the level tables. The plan's levels are the level itself where it does not order.
L_PLAN_FLEXIBLE = 0
L_PLAN_FINAL = 1
L_LEAN = 2
L_FLEXIBLE = 3
L_BOTH_FLEXIBLE = 4
L_BOTH_FINAL = 5
LEVEL_ROWS = 6

# Entries of the answer row.
A_LOWEST = 0
A_CELL = 1
A_LEVELS = 2
A_COST = 3  # money per review
A_GAP = 4  # relative
A_CYCLE = 5
A_FILL = 6
A_PENALTY = 7
A_FAMILY = 8
A_MET = 9  # 1 if the service target is met
A_SWEEPS = 10
A_SPLIT_LEVEL = 11  # the level whose cell is cut in two; -1 if none is
A_SPLIT = 12  # from this place (in cells) on, it orders up to the next two entries instead
A_SPLIT_FLEXIBLE = 13
A_SPLIT_FINAL = 14
A_LOWER = 15  # money per review; of the gap rule: no policy costs less
A_LEAN_CHEAPER = 16  # 1 if the lean supplier alone costs less than the gap rule
ANSWERS = 17
