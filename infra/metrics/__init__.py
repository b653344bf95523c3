"""Prometheus metrics of a worker and of the shop."""
