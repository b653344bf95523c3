"""The benchmark of classic control: a tiny run goes through."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.bench.classic.__main__ import control, made_up_shop, main


def test_tiny_run_goes_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every item gets a reorder point; both ways are timed and written."""
    assert np.isfinite(control(made_up_shop(40))).all()
    main(["--items", "40", "--sample", "2", "--json", str(tmp_path / "figures.json")])
    assert "an item a call" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["items"] == 40
