"""The codes that kernels, decisions and records share; each number stands here alone."""

from enum import IntEnum


class ServiceType(IntEnum):
    """What `service_target` is a share of."""

    COST = 0  # no target: the cheapest policy
    CYCLE = 1  # replenishment cycles [tau_2, T + tau_2) without a stock-out
    FILL = 2  # units served from stock
    PAPER = 3  # P(D_{T + tau_2} <= U), the published condition; weak, see the model


class DemandFamily(IntEnum):
    """Distribution of demand; AUTO picks one by the dispersion index sd^2 / mean."""

    AUTO = 0
    NORMAL = 1
    POISSON = 2
    NEGATIVE_BINOMIAL = 3
    GAMMA = 4


class Reason(IntEnum):
    """Which cost or constraint bound the quantities."""

    POSITION_COVERS = 0
    COST_OPTIMAL = 1
    SERVICE_TARGET = 2
    SERVICE_OUT_OF_REACH = 3
    LEAN_CAPACITY_BOUND = 4
    MINIMUM_ORDER = 5
    PACK_SIZE = 6
    FLEXIBLE_ONLY_SURGE = 7
    NO_DEMAND = 8
    GAP_RULE = 9
    PRICE_BREAK = 10
