"""Compiled kernels: what lies on disk is used only while nothing it is made of changed."""

import os
import subprocess
import sys
from pathlib import Path

from policy.compiled import kernels_digest

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


def test_a_changed_callee_is_compiled_into_its_caller_again(tmp_path):
    """A kernel kept on disk does not go on with an old version of one from another file."""
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "leaf.py").write_text(LEAF.format(added=1))
    assert run_caller(tmp_path) == "2\n"
    (tmp_path / "leaf.py").write_text(LEAF.format(added=40))
    assert run_caller(tmp_path) == "41\n"


def test_digest_looks_at_kernels_and_their_columns_only(tmp_path):
    """Files that no kernel takes anything from do not cause a compilation."""
    (tmp_path / "leaf.py").write_text(LEAF.format(added=1))
    first = kernels_digest.__wrapped__(tmp_path)
    (tmp_path / "prose.py").write_text("text = 1\n")
    assert kernels_digest.__wrapped__(tmp_path) == first
    (tmp_path / "item_columns.py").write_text("COLUMN = 1\n")
    assert kernels_digest.__wrapped__(tmp_path) != first
