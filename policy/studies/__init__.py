"""Checks of the policy from outside: published tables, a backtest, a simulation of its own."""
