"""Memory per item and start-up time of one shard.

    python -m tests.bench.memory [--items 250000] [--shard MODULE ...]

Each step runs in a fresh process: `build` makes a shard and saves it to Redis, `load` reads it back
as a worker does on assignment. Memory is what the process grew by, imports left out. A shard module
has `build(items)`, `save(shard, redis_url)`, `load(redis_url)` and `items(shard)`.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.local.embedded import EmbeddedRedis
from tests.bench.harness import ROOT, machine, memory_bytes
from tests.bench.progress import console

MODULES = ("tests.bench.contenders.plain_shard", "tests.bench.tidegate")


@dataclass(frozen=True)
class Step:
    """What one process measured of itself."""

    items: int
    grown_bytes: int
    seconds: float  # building, or loading
    import_seconds: float
    save_seconds: float = 0.0


def build(module: str, items: int, redis_url: str) -> Step:
    shards, import_seconds = _import(module)
    before, start = memory_bytes(os.getpid()), time.perf_counter()
    shard = shards.build(items)
    seconds, grown = time.perf_counter() - start, memory_bytes(os.getpid()) - before
    start = time.perf_counter()
    shards.save(shard, redis_url)
    return Step(
        shards.items(shard),
        grown,
        seconds,
        import_seconds,
        save_seconds=time.perf_counter() - start,
    )


def load(module: str, items: int, redis_url: str) -> Step:
    shards, import_seconds = _import(module)
    before, start = memory_bytes(os.getpid()), time.perf_counter()
    shard = shards.load(redis_url)
    seconds, grown = time.perf_counter() - start, memory_bytes(os.getpid()) - before
    if shards.items(shard) != items:
        raise RuntimeError(f"{shards.items(shard):,} of {items:,} items came back from Redis")
    return Step(shards.items(shard), grown, seconds, import_seconds)


def _import(module: str):  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    return importlib.import_module(module), time.perf_counter() - start


def in_fresh_process(step: str, module: str, items: int, redis_url: str) -> Step:
    command = [sys.executable, "-m", "tests.bench.memory", "--step", step, "--shard", module]
    command += ["--items", str(items), "--redis", redis_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} of {module} failed:\n{done.stderr}")
    return Step(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--items", type=int, default=250_000)
    parser.add_argument("--shard", nargs="*", default=list(MODULES), metavar="MODULE")
    parser.add_argument("--step", choices=("build", "load"), help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step:
        run = {"build": build, "load": load}[options.step]
        step = run(options.shard[0], options.items, options.redis)
        print(json.dumps(step.__dict__))
        return 0
    measure(options.items, options.shard)
    return 0


def measure(items: int, modules: list[str]) -> None:
    table = Table(title=f"A shard of {items:,} items", caption=machine())
    table.add_column("shard")
    for column in ("built B/item", "loaded B/item", "Redis B/item", "build s", "save s", "load s"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as directory:
        for module in modules:
            # A server each: what the one before left in its memory does not blur.
            with EmbeddedRedis(Path(directory) / module) as server:
                empty = memory_bytes(server.pid)
                console.print(f"building {module} ...")
                built = in_fresh_process("build", module, items, server.url)
                kept = memory_bytes(server.pid) - empty
                console.print(f"loading {module} ...")
                loaded = in_fresh_process("load", module, items, server.url)
            table.add_row(
                module.rpartition(".")[2],
                *(
                    f"{grown / items:,.0f}"
                    for grown in (built.grown_bytes, loaded.grown_bytes, kept)
                ),
                f"{built.seconds:.2f}",
                f"{built.save_seconds:.2f}",
                f"{loaded.seconds:.2f}",
            )
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
