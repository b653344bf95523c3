"""Fixtures of the worker's tests."""

import asyncio

import pytest


@pytest.fixture(autouse=True)
def short_sleeps(monkeypatch):
    """Half a second between attempts is long for a test."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda s: sleep(min(s, 0.01)))
