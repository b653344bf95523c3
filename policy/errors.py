"""Errors that the policy package raises."""

from __future__ import annotations


class ReplenishError(Exception):
    """Base of every error that Tidegate raises on purpose."""


class PolicyInputError(ReplenishError, ValueError):
    """A policy argument breaks its documented range."""

    def __init__(self, name: str, rule: str, value: object) -> None:
        super().__init__(f"{name} must be {rule}, got {value!r}")
        self.name = name
        self.rule = rule
        self.value = value
