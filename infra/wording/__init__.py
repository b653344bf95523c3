"""Codes, orders and decisions in words, for the page and the command line."""
