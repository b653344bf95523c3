"""Deterministic simulation: the production worker, store and shard against simulated servers.

One seed decides everything: what is written, when each message arrives, what breaks. Replay one
with its trace by `python -m tests.simulation --seed 7`, run many by `--seeds 1000`.
"""
