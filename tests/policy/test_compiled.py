"""Compiled kernels: what lies on disk is used only while nothing it is made of changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policy.compiled import imported_closure

ROOT = Path(__file__).parents[2]

LEAF = "from policy.compiled import compiled\n\n@compiled\ndef leaf(x):\n    return x + {added}\n"
CALLER = (
    "from policy.compiled import compiled\nfrom leaf import leaf\n\n"
    "@compiled\ndef caller(x):\n    return leaf(x)\n\nprint(caller(1))\n"
)


def run_caller(directory: Path) -> str:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": f"{directory}{os.pathsep}{root}"}
    command = [sys.executable, str(directory / "caller.py")]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_a_changed_callee_is_compiled_into_its_caller_again(tmp_path):
    """A kernel kept on disk does not go on with an old version of one from another file."""
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "leaf.py").write_text(LEAF.format(added=1))
    assert run_caller(tmp_path) == "2\n"
    (tmp_path / "leaf.py").write_text(LEAF.format(added=40))
    assert run_caller(tmp_path) == "41\n"


USER = "from policy.compiled import compiled\nfrom deep.constants import (\n    VALUE,\n)\n"


def digest_of(source: Path) -> str:
    """The digest as a new process computes it."""
    root = Path(__file__).parents[2]
    program = (
        "import pathlib, sys; from policy.compiled import sources_digest;"
        "print(sources_digest(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(source)]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_digest_covers_the_constants_that_a_kernel_imports_from_afar(tmp_path):
    """A constant in a file without kernels, in another folder, makes the kernel go stale."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").touch()
    (tmp_path / "deep" / "constants.py").write_text(
        "from deep import origin as origin\nVALUE = 1\n"
    )
    (tmp_path / "deep" / "origin.py").write_text("START = 1\n")
    kernel = tmp_path / "kernel.py"
    kernel.write_text(USER)
    first = digest_of(kernel)
    (tmp_path / "deep" / "origin.py").write_text("START = 2\n")
    second = digest_of(kernel)
    assert second != first
    (tmp_path / "prose.py").write_text("nobody imports this\n")
    assert digest_of(kernel) == second


@pytest.mark.parametrize(
    ("kernels", "needs"),
    [
        ("streams/ingest/order_scanner.py", "streams/ingest/item_names.py"),
        ("streams/ingest/item_names.py", "streams/hashing.py"),
        ("streams/timeline/movements.py", "streams/contracts/codes.py"),
        ("streams/detection/surge.py", "streams/state/items.py"),
    ],
)
def test_kernels_depend_on_every_file_they_take_something_from(kernels, needs):
    """What the old digest left out: kernels without the decorator's import, and codes of events."""
    assert ROOT / needs in imported_closure(ROOT / kernels)


def test_contracts_can_change_without_compiling_anything():
    """Kernels take their codes from a leaf: a new description of a field costs no minute."""
    kernels = [path for path in (ROOT / "streams").rglob("*.py") if "@compiled" in path.read_text()]
    assert len(kernels) > 10
    contracts = ROOT / "streams" / "contracts" / "events.py"
    assert [path for path in kernels if contracts in imported_closure(path)] == []


NAMED = "from typing import NamedTuple\n\nclass {name}(NamedTuple):\n    x: int\n"
TAKES_NAMED = (
    "from policy.compiled import compiled\nfrom named import {name}\n\n"
    "@compiled\ndef caller(point):\n    return point.x\n\nprint(caller({name}(1)))\n"
)


@pytest.mark.slow
def test_a_type_that_was_renamed_is_no_error_of_the_cache(tmp_path):
    """An installation keeps its cache over an upgrade; the index still names the old type."""
    for name in ("Old", "New"):
        (tmp_path / "named.py").write_text(NAMED.format(name=name))
        (tmp_path / "caller.py").write_text(TAKES_NAMED.format(name=name))
        assert run_caller(tmp_path) == "1\n"
