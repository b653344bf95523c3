"""What a world can be found guilty of."""


class Violation(AssertionError):
    """An invariant does not hold."""
